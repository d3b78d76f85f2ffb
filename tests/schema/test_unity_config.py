"""The keys of Unity players and of their levels depend on the environment's type."""

from pathlib import Path

import pytest

from schema.config import load_config
from schema.environment import EnvironmentConfig
from schema.errors import UserError
from sweeps.search_space.keys import resolve_key
from tests.e2e.commands import ROOT


@pytest.mark.parametrize(
    "path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.stem
)
def test_the_project_s_own_configs_are_valid(path):
    load_config(path)


def error_of(tmp_path, environment):
    path = Path(tmp_path, "base.yaml")
    path.write_text(f"environment:\n  {{{environment}}}\n", encoding="utf-8")
    with pytest.raises(UserError) as caught:
        load_config(path)
    (line,) = caught.value.lines
    return line.removeprefix(f"{path}, line 2: environment.")


def test_any_number_is_a_parameter_of_a_scene(tmp_path):
    config = EnvironmentConfig(type="Unity", reset_params={"gravity": 9.5, "start-seed": 3})
    assert config.model_dump(by_alias=True)["reset_params"] == {
        "start-seed": 3,
        "num-seeds": 0,
        "gravity": 9.5,
    }
    assert config.reset_params.trained() == (3, 2**24 - 3)
    line = error_of(tmp_path, "type: Unity, reset_params: {gravity: much}")
    assert line == "reset_params.gravity: must be a number, not the text 'much'"
    assert "choose levels by start-seed" in error_of(
        tmp_path, "type: Unity, reset_params: {seed: 3}"
    )
    assert "must be ASCII" in error_of(tmp_path, "type: Unity, reset_params: {größe: 3}")
    assert "32-bit float" in error_of(tmp_path, "type: Unity, reset_params: {gravity: 1e+60}")


def test_the_tower_has_its_own_keys(tmp_path):
    config = EnvironmentConfig(type="ObstacleTower", reset_params={"starting-floor": 5})
    assert config.reset_params.trained() == (0, 100)
    one = EnvironmentConfig(type="ObstacleTower", reset_params={"tower-seed": 7})
    assert one.reset_params.trained() == (7, 1)
    line = error_of(tmp_path, "type: ObstacleTower, reset_params: {tower-sed: 5}")
    assert line == "reset_params.tower-sed: unknown key; did you mean tower-seed?"
    line = error_of(tmp_path, "type: ObstacleTower, reset_params: {default-theme: 5}")
    assert line == "reset_params.default-theme: 5 is out of range; must be at most 4"


def test_keys_common_to_all_types_keep_their_values(tmp_path):
    assert EnvironmentConfig(reset_params={"start-seed": 5}).reset_params.trained() == (5, 0)
    line = error_of(tmp_path, "type: CartPole, reset_params: {tower-seed: 1}")
    assert line.startswith("reset_params.tower-seed: unknown key")


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ("unity: {time_scale: 2}", "unity: works with type Unity and ObstacleTower only"),
        ("type: Unity, full_actions: true", "full_actions: works with type ObstacleTower only"),
        ("type: Unity, backend: envpool", "backend: must be auto for type Unity"),
        ("type: Unity, processes: 2", "processes: must be null: players are processes"),
        (
            "type: Unity, reset_params: {start-seed: 16777216}",
            "reset_params.start-seed: 16777216 is out of range; must be less than 16777216",
        ),
    ],
)
def test_keys_of_other_types_are_refused(tmp_path, environment, told):
    assert error_of(tmp_path, environment).startswith(told)


def test_a_key_of_one_type_only_can_be_tuned():
    assert resolve_key("starting-floor") == ("environment", "reset_params", "starting-floor")
    assert resolve_key("time_scale") == ("environment", "unity", "time_scale")
