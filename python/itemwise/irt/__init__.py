"""Item response theory: calibrate items, score subjects, simulate, link.

>>> from itemwise import irt
>>> parameters, record = irt.fit(responses, model="2PL")       # doctest: +SKIP
>>> abilities = irt.score(responses, parameters, method="EAP")  # doctest: +SKIP
"""

__all__ = ["fit", "item_information", "score", "simulate_responses", "test_information"]


def __getattr__(name: str):
    """Import what is asked for: scipy takes longer than many a stage that needs a module alone."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from itemwise.irt.calibration import fit
    from itemwise.irt.model import item_information, test_information
    from itemwise.irt.scoring import score
    from itemwise.irt.simulation import simulate_responses

    known = (fit, item_information, score, simulate_responses, test_information)
    globals().update({function.__name__: function for function in known})
    return globals()[name]
