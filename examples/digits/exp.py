"""A grid of hyper-parameters over real handwritten digits, loaded once per rank.

    pip install scikit-learn
    mpirun -n 4 python -m experimenter_mpi run exp.py
    python -m experimenter_mpi results experiments/experiments.db digits

A support vector machine learns 1797 digits of 8 x 8 pixels (the UCI set that comes with
scikit-learn) for each softness C and kernel width gamma, five times over: each fold in
turn is kept back for the test. Data and folds are the store: built once on each rank,
shared by all its trials.
"""

from time import perf_counter
from typing import Any
from uuid import UUID

from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold
from sklearn.svm import SVC

from experimenter_mpi import (
    Experiment,
    IterableVariable,
    LogLinearVariable,
    get_global_store,
)


def load_folds(configuration: dict[str, Any]) -> dict[str, Any]:
    """Load the images and split them into folds with equal shares of every digit."""
    images, labels = load_digits(return_X_y=True)
    splitter = StratifiedKFold(configuration["folds"], shuffle=True, random_state=0)
    folds = list(splitter.split(images, labels))
    return {"images": images, "labels": labels, "folds": folds}


def classify(configuration: dict[str, Any], trial_id: UUID) -> dict[str, Any]:
    """Learn all folds but one, and read the digits of that one."""
    store = get_global_store()
    images, labels = store["images"], store["labels"]
    learn, test = store["folds"][configuration["fold"]]

    classifier = SVC(C=configuration["C"], gamma=configuration["gamma"])
    started = perf_counter()
    classifier.fit(images[learn], labels[learn])
    return {
        "fit_seconds": perf_counter() - started,
        "accuracy": classifier.score(images[test], labels[test]),
    }


FOLDS = 5

experiment = Experiment(
    name="digits",
    function=classify,
    init_store=load_folds,
    configuration={
        "C": LogLinearVariable(0.1, 100, 4),
        "gamma": LogLinearVariable(1e-4, 1e-2, 3),
        "fold": IterableVariable(range(FOLDS)),
        "folds": FOLDS,
    },
)
