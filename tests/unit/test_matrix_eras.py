from __future__ import annotations

import pytest
from matrix_files import release
from packaging.version import Version

from runner.matrix.releases import accepted, of_the_era

KERAS = [
    release(text)
    for text in (
        "2.2.4 2018-10-03",
        "2.3.1 2019-10-07",
        "2.4.0 2020-06-17",
        "2.4.3 2020-06-24",
        "2.5.0rc0 2021-04-12",
        "2.6.0rc3 2021-08-04",
        "2.6.0 2021-08-09",
        "2.7.0 2021-11-03",
        "2.10.0 2022-09-02",
        "2.15.0 2023-11-07",
        "3.0.5 2024-02-14",
        "3.1.0 2024-03-18",
        "3.1.1 2024-03-09 yanked",
    )
]


@pytest.mark.parametrize(
    ("tensorflow", "keras", "tf_keras"),
    [
        ("1.0.0", "<2.4", "==1.0.*"),
        ("1.10.1", "<2.4", "==1.10.*"),
        ("1.11.0", "<2.2", "==1.11.*"),  # newer ones of its time can't be installed with it
        ("1.12.0", "<2.4", "==1.12.*"),
        ("2.1.4", "<2.4", "==2.1.*"),
        ("2.2.0rc1", "<2.6", "==2.2.*"),
        ("2.5.3", "<2.6", "==2.5.*"),
        ("2.6.0", "==2.6.*", "==2.6.*"),
        ("2.15.0.post1", "==2.15.*", "==2.15.*"),
        ("2.16.0rc0", ">=3", "==2.16.*"),
        ("2.21.0", ">=3", "==2.21.*"),
        ("3.0", ">=3", "==3.0.*"),
    ],
)
def test_each_tensorflow_accepts_the_keras_of_its_kind(tensorflow: str, keras: str, tf_keras: str) -> None:
    assert accepted("keras", "tensorflow", Version(tensorflow)) == (keras,)
    assert accepted("tf-keras", "tensorflow", Version(tensorflow)) == (tf_keras,)


@pytest.mark.parametrize(
    ("tensorflow", "keras"),
    [
        ("1.13.1 2019-02-26", "2.2.4"),
        ("1.15.5 2021-01-06", "2.3.1"),  # newer ones were out, and need TensorFlow 2.2
        ("2.2.0 2020-05-07", "2.3.1"),
        ("2.4.0 2020-12-14", "2.4.3"),
        ("2.5.3 2022-02-02", "2.4.3"),
        ("2.6.0 2021-08-11", "2.6.0"),
        ("2.6.5 2022-05-23", "2.6.0"),
        ("2.16.1 2024-03-08", "3.0.5"),  # not the yanked one
        ("2.16.1 2024-03-17", "3.1.0"),  # out by the end of the day after
        ("2.16.1 2024-03-16T23:59", "3.0.5"),
        ("2.15.0 2023-11-06T00:00", "2.15.0"),
        ("2.15.0 2023-10-20", "2.15.0"),  # 18 days later, since there is none before
    ],
)
def test_the_keras_of_the_era_is_the_newest_that_a_user_had_then(tensorflow: str, keras: str) -> None:
    found = of_the_era("keras", "tensorflow", release(tensorflow), KERAS)
    assert found is not None
    assert str(found.version) == keras


@pytest.mark.parametrize("tensorflow", ["1.0.0 2017-02-15", "2.15.0 2023-10-07", "2.11.0 2022-11-18"])
def test_there_is_none_of_the_era_where_none_came_within_30_days(tensorflow: str) -> None:
    assert of_the_era("keras", "tensorflow", release(tensorflow), KERAS) is None


def test_the_first_that_came_later_is_taken_not_the_newest_of_the_30_days() -> None:
    later = [release("2.2.0 2019-03-05"), release("2.2.1 2019-03-05T23:00"), release("2.2.2 2019-03-07")]
    found = of_the_era("keras", "tensorflow", release("1.13.1 2019-02-26"), later)
    assert found is later[1]


VISION = [
    release(text)
    for text in (
        "0.8.0 2020-10-27",
        "0.8.1 2020-10-27",
        "0.8.2 2020-12-10",
        "0.15.1 2023-03-15",
        "0.15.2 2023-05-08",
        "0.29.0 2026-09-02",
        "0.29.2 2026-10-28",
    )
]
AUDIO = [release(text) for text in ("0.4.0 2020-01-16", "0.7.2 2020-12-10", "2.0.1 2023-03-15", "2.11.0 2026-03-23")]
JAXLIB = [
    release(text) for text in ("0.4.23 2023-12-14", "0.4.24 2024-02-07", "0.4.36 2024-12-05", "0.4.38 2024-12-17")
]


@pytest.mark.parametrize(
    ("package", "base", "then", "releases", "found"),
    [
        ("torchvision", "torch", "1.7.0 2020-10-27", VISION, "0.8.1"),
        ("torchvision", "torch", "1.7.1 2020-12-10", VISION, "0.8.2"),
        ("torchvision", "torch", "2.0.1 2023-05-08", VISION, "0.15.2"),
        ("torchvision", "torch", "2.14.0 2026-09-02", VISION, "0.29.0"),
        ("torchvision", "torch", "2.15.0 2026-10-28", VISION, "0.29.2"),  # there is no 0.30
        ("torchvision", "torch", "1.0.0 2018-12-07", VISION, None),
        ("torchaudio", "torch", "1.4.0 2020-01-15", AUDIO, "0.4.0"),
        ("torchaudio", "torch", "1.7.1 2020-12-10", AUDIO, "0.7.2"),
        ("torchaudio", "torch", "2.0.0 2023-03-15", AUDIO, "2.0.1"),
        ("torchaudio", "torch", "2.13.0 2026-07-08", AUDIO, "2.11.0"),  # the last one was that of 2.11
        ("jaxlib", "jax", "0.4.24 2024-02-06", JAXLIB, "0.4.24"),
        ("jaxlib", "jax", "0.4.37 2024-12-10", JAXLIB, "0.4.36"),  # there is no 0.4.37
        ("keras", "torch", "2.2.0 2024-01-30", KERAS, "3.0.5"),
        ("keras", "jax", "0.4.25 2024-02-26", KERAS, "3.0.5"),
        ("keras", "torch", "1.13.1 2022-12-15", KERAS, None),
    ],
)
def test_what_goes_with_pytorch_and_jax_is_of_their_number_and_time(package, base, then, releases, found):
    chosen = of_the_era(package, base, release(then), releases)
    assert (chosen and str(chosen.version)) == found
