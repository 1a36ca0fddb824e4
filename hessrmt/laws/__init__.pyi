from .pieces import Piece as Piece
from .pieces import quantiles as quantiles
from .spectral_law import MarchenkoPastur as MarchenkoPastur
from .spectral_law import ProductWishart as ProductWishart
from .spectral_law import Semicircle as Semicircle
from .spectral_law import SpectralLaw as SpectralLaw
from .subordination import FreeSum as FreeSum
