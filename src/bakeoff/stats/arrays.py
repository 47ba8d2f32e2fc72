"""Array types of the statistics."""

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Codes = NDArray[np.intp]  # category, prompt or cluster of each element, as an integer
Mask = NDArray[np.bool_]
