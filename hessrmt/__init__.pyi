from .datasets import load_images as load_images
from .ensembles import haar_orthogonal as haar_orthogonal
from .ensembles import product_wishart as product_wishart
from .ensembles import wigner as wigner
from .ensembles import wishart as wishart
from .explorer import Explorer as Explorer
from .figures import density_curve as density_curve
from .figures import density_histogram as density_histogram
from .figures import law_grid as law_grid
from .figures import use_style as use_style
from .hessian_models import WishartPlusWigner as WishartPlusWigner
from .laws import MarchenkoPastur as MarchenkoPastur
from .laws import ProductWishart as ProductWishart
from .laws import Semicircle as Semicircle
from .laws import SpectralLaw as SpectralLaw
from .networks import SingleHiddenLayer as SingleHiddenLayer
from .training import train as train

__version__: str
