from .ensembles import haar_orthogonal as haar_orthogonal
from .ensembles import product_wishart as product_wishart
from .ensembles import wigner as wigner
from .ensembles import wishart as wishart
from .hessian_models import WishartPlusWigner as WishartPlusWigner
from .laws import MarchenkoPastur as MarchenkoPastur
from .laws import ProductWishart as ProductWishart
from .laws import Semicircle as Semicircle
from .laws import SpectralLaw as SpectralLaw

__version__: str
