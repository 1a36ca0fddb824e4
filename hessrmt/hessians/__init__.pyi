from . import derivations as derivations
from .conditional_laws import (
    conditional_gauss_newton_stieltjes as conditional_gauss_newton_stieltjes,
)
from .conditional_laws import conditional_hessian_stieltjes as conditional_hessian_stieltjes
from .conditional_laws import smoothed_density as smoothed_density
from .gauss_newton_law import GaussNewtonLaw as GaussNewtonLaw
from .models import HessianModel as HessianModel
from .models import WishartPlusProductWishart as WishartPlusProductWishart
from .models import WishartPlusWigner as WishartPlusWigner
from .moments import MOMENT_WORDS as MOMENT_WORDS
from .moments import MomentRatio as MomentRatio
from .moments import limiting_moments as limiting_moments
from .moments import moment_ratios as moment_ratios
from .moments import network_moments as network_moments
