from .images import block_average as block_average
from .images import grayscale as grayscale
from .images import load_images as load_images
from .images import zca_whiten as zca_whiten
from .projection import project_residuals as project_residuals
from .single_hidden_layer import SingleHiddenLayer as SingleHiddenLayer
from .training import Training as Training
from .training import train as train
