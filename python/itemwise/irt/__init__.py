"""Item response theory: calibrate items, score subjects, simulate, link.

>>> from itemwise import irt
>>> parameters, record = irt.fit(responses, model="2PL")       # doctest: +SKIP
>>> abilities = irt.score(responses, parameters, method="EAP")  # doctest: +SKIP
"""

from itemwise.irt.calibration import fit
from itemwise.irt.model import item_information, test_information
from itemwise.irt.scoring import score
from itemwise.irt.simulation import simulate_responses

__all__ = ["fit", "item_information", "score", "simulate_responses", "test_information"]
