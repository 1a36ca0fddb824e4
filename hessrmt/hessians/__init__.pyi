from . import derivations as derivations
from .conditional_laws import (
    conditional_gauss_newton_stieltjes as conditional_gauss_newton_stieltjes,
)
from .conditional_laws import conditional_hessian_stieltjes as conditional_hessian_stieltjes
from .conditional_laws import smoothed_density as smoothed_density
from .critical_energies import free_critical_energy as free_critical_energy
from .critical_energies import full_hessian_critical_energy as full_hessian_critical_energy
from .full_hessian_law import FullHessianLaw as FullHessianLaw
from .gauss_newton_law import GaussNewtonLaw as GaussNewtonLaw
from .models import HessianModel as HessianModel
from .models import WishartPlusProductWishart as WishartPlusProductWishart
from .models import WishartPlusWigner as WishartPlusWigner
from .moments import MOMENT_WORDS as MOMENT_WORDS
from .moments import MomentRatio as MomentRatio
from .moments import limiting_moments as limiting_moments
from .moments import moment_ratios as moment_ratios
from .moments import network_moments as network_moments
from .vanishing_gradient import VanishingGradient as VanishingGradient
from .vanishing_gradient import VanishingGradientLimit as VanishingGradientLimit
from .vanishing_gradient import vanishing_gradient_limit as vanishing_gradient_limit
