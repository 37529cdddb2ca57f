# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Settings of any run: read from YAML and overrides, checked, written as plain values."""

from __future__ import annotations

from argparse import ArgumentError
from collections.abc import Iterable, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from pointata_core.errors import ConfigError
from pointata_core.resources import ResourceError, resource_path
from pointata_core.safe_files import write_atomically

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Settings = TypeVar('Settings', bound='DataclassInstance')
_RECIPES = 'config/training'


def read_settings(
    kind: type[Settings], path: str | Path | None, overrides: Sequence[str] = ()
) -> Settings:
    """Read settings from YAML, then apply overrides.

    Args:
        kind: Dataclass of the settings; its fields may be dataclasses.
        path: YAML file, from here or of those that ship with the package; ``None`` for the
            defaults.
        overrides: Words like ``optimiser.epochs=10`` or ``stages.0.hop=2``.

    Raises:
        ConfigError: The file cannot be read, or a value has no such name or type.
    """
    import yaml
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(prog='settings', exit_on_error=False)
    parser.add_class_arguments(kind)
    try:
        values: dict[str, Any] = {}
        if path is not None:
            path = _find(Path(path))
            values = yaml.safe_load(path.read_text(encoding='utf-8')) or {}
            if 'recipe' in kind.__dataclass_fields__:
                values = {'recipe': _recipe_name(path), **values}
        for override in overrides:
            _override(kind, values, override)
        parsed = parser.parse_object(values)
        # Renamed in jsonargparse 4.49.
        instantiate = getattr(parser, 'instantiate', None) or parser.instantiate_classes
        return kind(**instantiate(parsed).__dict__)
    except (ArgumentError, OSError, TypeError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(
            f'{path or "settings"}: {" ".join(str(error).split())}',
            'See docs/training.md for names and types',
        ) from error


def _recipe_name(path: Path) -> str:
    """Where a file that ships stands in the repository; of others the name alone."""
    shipped = path.parent.as_posix().endswith(_RECIPES)
    return f'{_RECIPES}/{path.name}' if shipped else path.name


def _override(kind: type, values: dict[str, Any], word: str) -> None:
    """Put one word ``name.of.field=value`` into values; a number names an item of a list."""
    import yaml

    place, equals, text = word.partition('=')
    if not equals:
        raise ConfigError(f"'{word}' is no override", 'Write it as name.of.field=value')
    *names, last = place.split('.')
    section: Any = values
    try:
        for name in names:
            if name.isdigit():
                section = section[int(name)]
            else:
                # What the file leaves out, or sets to null, begins empty.
                section[name] = section.get(name) or {}
                section = section[name]
        value = text if _is_text(kind, [*names, last]) else yaml.safe_load(text)
        section[int(last) if last.isdigit() else last] = value
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ConfigError(
            f'{place}: the settings have no such place',
            'See docs/training.md for names and types; items of a list are those of the file',
        ) from error


def _is_text(kind: Any, names: Sequence[str]) -> bool:
    """Whether a field takes text, so that ``name=5`` and ``precision=32`` are no numbers."""
    for name in names:
        kind = get_type_hints(kind).get(name) if is_dataclass(kind) else None
    choices = get_args(kind) if get_origin(kind) is Literal else ()
    return kind is str or (bool(choices) and all(isinstance(one, str) for one in choices))


def write_settings(settings: DataclassInstance, path: Path) -> None:
    """Write resolved settings as YAML that :func:`read_settings` reads."""
    write_yaml(plain(asdict(settings)), path)


def write_yaml(values: dict[str, Any], path: Path) -> None:
    """Write plain values as YAML, in their order; the file appears whole."""
    import yaml

    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    write_atomically(path, text.encode())


def plain(value: Any) -> Any:
    """Dictionaries, lists and scalars, as YAML and JSON have them; paths become text."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def require(settings: object, rules: Iterable[tuple[str, bool, str]], prefix: str = '') -> None:
    """Check values that their types cannot.

    Args:
        settings: Whose attributes are checked.
        rules: Name of the attribute, whether its value is good, and what is expected.
        prefix: Where the settings stand among others, such as ``training.``.

    Raises:
        ConfigError: A rule does not hold; names field, value and expectation.
    """
    for name, holds, expected in rules:
        if not holds:
            raise ConfigError(
                f'{prefix}{name} is {getattr(settings, name)}, expected {expected}',
                'Correct the value in the configuration',
            )


def _find(path: Path) -> Path:
    if path.is_file():
        return path
    try:
        return resource_path(path)
    except ResourceError as error:
        raise ConfigError(
            f'{path}: no such file here or in the package', 'Name a file of config/training'
        ) from error
