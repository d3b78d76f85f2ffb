import yaml

from schema.config import Config, load_config
from schema.reference import DEFAULT_CONFIG, REFERENCE, default_yaml, reference


def test_the_default_config_lists_every_key_with_its_default():
    # PyYAML reads the file, so that neither our reader nor the generator can hide a difference.
    text = DEFAULT_CONFIG.read_text(encoding="utf-8")
    assert yaml.safe_load(text) == Config().as_dict()
    assert load_config(DEFAULT_CONFIG) == Config()


def test_every_line_of_the_default_config_has_a_comment():
    lines = DEFAULT_CONFIG.read_text(encoding="utf-8").splitlines()
    assert all("# " in line for line in lines if line)


def test_generated_files_are_up_to_date():
    assert DEFAULT_CONFIG.read_text(encoding="utf-8") == default_yaml()
    assert REFERENCE.read_text(encoding="utf-8") == reference()
