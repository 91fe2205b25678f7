"""The demo's steps, in order."""

from collections.abc import Callable

from api.cli.demo.story import (
    Story,
    create_project,
    deploy,
    import_model,
    measure_drift,
    predict,
    promote,
    replay,
    replay_shifted,
    train_model,
)
from api.cli.demo.watch import make_rule, read_notice, wait_for_alert

STEPS: tuple[tuple[str, Callable[[Story], str]], ...] = (
    ("Create a project", create_project),
    ("Train an H2O AutoML on the prostate data (Prefect flow)", train_model),
    ("Import the MOJO with its reference", import_model),
    ("Deploy it to staging", deploy),
    ("Predict one row", predict),
    ("Promote it to production", promote),
    ("Have somebody told when its inputs drift", make_rule),
    ("Replay the reference's rows", replay),
    ("Measure drift: there should be none", measure_drift),
    ("Replay shifted rows", replay_shifted),
    ("Measure drift again", measure_drift),
    ("Wait for the rule to fire (rules are evaluated each minute)", wait_for_alert),
    ("Read what was sent", read_notice),
)
