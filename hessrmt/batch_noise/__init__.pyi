from .damping import DampedInverse as DampedInverse
from .damping import damped_inverse as damped_inverse
from .damping import expected_change as expected_change
from .damping import kronecker_damped_inverse as kronecker_damped_inverse
from .outliers import outlier_overlap as outlier_overlap
from .outliers import outlier_position as outlier_position
from .outliers import outlier_threshold as outlier_threshold
from .outliers import subordination as subordination
