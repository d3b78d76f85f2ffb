"""A notice names an observation whose numbers float32 can't tell apart."""

import pytest

from commands.notices import print_precision
from environments.checking.check import check_environment
from environments.checking.precision import precision_notices
from schema.config import Config
from schema.environment import EnvironmentConfig
from tests.environments import scripted


def wide(*values, **keys):
    kwargs = dict(zip(("base", "step", "offset"), values, strict=False)) | keys
    return EnvironmentConfig(type="Gymnasium", name=scripted.name("Wide"), kwargs=kwargs)


def notices(config):
    return precision_notices(config.model_dump_json(by_alias=True))


@pytest.mark.parametrize(
    ("config", "example"),
    [
        (wide(1.7e9, 1), "1700000000.0 and 1700000001.0"),  # seconds since 1970
        (wide(2**26, 0, 1, kind="int64"), "67108864 and 67108865"),  # ids
        (wide(2**25, 0, 1, kind="uint32"), "33554432 and 33554433"),
        (wide(1e6, 0, 0.01), "1000000.0 and 1000000.01"),  # prices
    ],
)
def test_numbers_that_float32_can_t_tell_apart_are_named(config, example):
    (line,) = notices(config)
    assert "of the observation 'number/wide' apart" in line
    assert f"({example}, say)" in line
    (noted,) = [each.text for each in check_environment(config) if "float32," in each.text]
    assert "'number/wide'" in noted


@pytest.mark.parametrize(
    "config",
    [
        wide(0.5, 0.1),
        wide(60_000, 0, 0.01),
        wide(2**24 - 40, 1, kind="int64"),
        wide(2**26, 1000, kind="int64"),  # from afar, float32 tells these apart
        wide(1.7e9),  # a constant
        wide(1e6, 0, 1e-8),  # a rounding error
        wide(1.0, 0, 1e-9),  # jitter of a small number
        EnvironmentConfig(type="CartPole", name="CartPole-v1"),
        EnvironmentConfig(
            type="Gymnasium", name=scripted.name("Faulty"), kwargs={"fault": "constructor"}
        ),
    ],
)
def test_others_get_no_notice(config):
    assert notices(config) == ()


def test_the_notice_is_printed_with_the_environment_s_name(capsys):
    print_precision(Config(environment=wide(1.7e9, 1)))
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"notice: {scripted.name('Wide')}: networks compute in float32")
