# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import gc
import hashlib
import json
import os
import shutil
import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from pointata_core.bundles.bundle import Bundle, load_bundle, save_bundle
from pointata_core.bundles.manifest import Manifest
from pointata_core.bundles.manifest_fields import TensorFile
from pointata_core.bundles.verify import verify_bundle
from pointata_core.errors import BundleError
from pointata_core.models.point.config import BackboneConfig, GeometryConfig, NetworkConfig
from pointata_core.models.point.pointata import PointATA

CONFIG = NetworkConfig(
    backbone=BackboneConfig(
        width=16, depth=2, heads=2, encoder_hidden=(8, 16), encoder_width=16, mlp_ratio=2
    ),
    geometry=GeometryConfig(tokens=4, patch_size=4),
    adapter_width=4,
    context_width=4,
    segmentation_classes=('road', 'car', 'person'),
    action_classes=('stand', 'walk'),
    segmentation_width=8,
    segmentation_blocks=(1, 2),
    readout_width=8,
    readout_frames=4,
    actor_class='person',
)


def make_network(seed: int, config: NetworkConfig = CONFIG) -> PointATA:
    """Random everywhere, zero-initialised branches and statistics of normalisation included."""
    generator = torch.Generator().manual_seed(seed)
    network = PointATA(config).eval()
    with torch.no_grad():
        for tensor in network.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.1)
            else:
                tensor.copy_(torch.randint(1, 1000, tensor.shape, generator=generator))
    return network


def describe(config: NetworkConfig = CONFIG, name: str = 'street') -> Manifest:
    return Manifest.for_network(name, config.to_dict(), preset='tiny', provenance={'seed': 1})


def skill_and_backbone(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    skill = {n: t for n, t in state.items() if not n.startswith('backbone.')}
    backbone = {n.split('.', 1)[1]: t for n, t in state.items() if n.startswith('backbone.')}
    return skill, backbone


def assert_same_state(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype, name
        assert torch.equal(found[name], tensor), name


@pytest.fixture(scope='module')
def network() -> PointATA:
    return make_network(1)


@pytest.fixture(scope='module')
def pristine(network: PointATA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('pristine') / 'street'
    save_bundle(path, network, describe())
    return path


@pytest.fixture
def path(pristine: Path, tmp_path: Path) -> Path:
    """A bundle to spoil."""
    shutil.copytree(pristine.parent, tmp_path / 'models')
    return tmp_path / 'models' / pristine.name


def backbone_file(path: Path) -> Path:
    (file,) = (path.parent / 'backbones').iterdir()
    return file


# ---------------------------------------------------------------------- round trip


def test_a_bundle_equals_itself_after_saving_and_loading(network: PointATA, path: Path) -> None:
    bundle = load_bundle(path)
    assert_same_state(bundle.network.state_dict(), network.state_dict())
    assert bundle.network.config == network.config
    assert bundle.manifest.provenance == {'seed': 1}
    assert bundle.path == path.resolve()


def test_a_loaded_network_is_ready_to_answer(path: Path) -> None:
    network = load_bundle(path).network
    assert not any(module.training for module in network.modules())
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert {tensor.device.type for tensor in network.state_dict().values()} == {'cpu'}
    output = network(torch.rand(1, 2, 20, 3))
    assert output.segmentation.shape == (1, 2, 20, 3)
    assert output.action.shape == (1, 2, 2)


def test_the_answers_of_a_loaded_network_are_those_of_the_saved_one(
    network: PointATA, path: Path
) -> None:
    points = torch.rand(1, 3, 20, 3, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        expected, found = network(points), load_bundle(path).network(points)
    assert torch.equal(found.segmentation, expected.segmentation)
    assert torch.equal(found.action, expected.action)


def test_half_precision_on_disk_is_full_precision_in_memory(network, tmp_path: Path) -> None:
    manifest = save_bundle(tmp_path / 'half', network, describe(), half=True)
    assert manifest.files['backbone'].dtype == manifest.files['skill'].dtype == 'float16'
    rounded = {
        name: tensor.half().float() if tensor.is_floating_point() else tensor
        for name, tensor in network.state_dict().items()
    }
    assert_same_state(load_bundle(tmp_path / 'half').network.state_dict(), rounded)


def test_weights_can_be_loaded_in_another_type(network: PointATA, path: Path) -> None:
    state = load_bundle(path, dtype=torch.float64).network.state_dict()
    assert_same_state(
        state,
        {n: t.double() if t.is_floating_point() else t for n, t in network.state_dict().items()},
    )


def test_saving_twice_gives_the_same_bundle(network: PointATA, tmp_path: Path) -> None:
    for name in ('a', 'b'):
        save_bundle(tmp_path / name / 'street', network, describe())
    assert load_bundle(tmp_path / 'a/street').hash == load_bundle(tmp_path / 'b/street').hash


def test_the_hash_tells_weights_and_settings_apart(network: PointATA, tmp_path: Path) -> None:
    other_skill = make_network(1)
    with torch.no_grad():
        other_skill.adapters[0].up.weight[0, 0] += 1
    save_bundle(tmp_path / 'a', network, describe())
    save_bundle(tmp_path / 'b', other_skill, describe())
    save_bundle(tmp_path / 'c', network, describe(name='avenue'))
    save_bundle(tmp_path / 'd', make_network(2), describe())
    bundles = [load_bundle(tmp_path / name) for name in 'abcd']
    assert len({bundle.short_hash for bundle in bundles}) == 4


def test_saving_over_a_bundle_replaces_it(path: Path) -> None:
    other = make_network(5)
    save_bundle(path, other, describe())
    assert_same_state(load_bundle(path).network.state_dict(), other.state_dict())
    assert sorted(p.name for p in path.iterdir()) == ['manifest.json', 'skill.safetensors']


@pytest.mark.parametrize('inside', [True, False])
def test_the_backbone_lies_inside_the_bundle_or_beside_it(network, tmp_path, inside: bool) -> None:
    path = tmp_path / 'models' / 'street'
    save_bundle(path, network, describe(), self_contained=inside)
    assert (path / 'backbones').is_dir() == inside
    assert (path.parent / 'backbones').is_dir() != inside
    moved = tmp_path / 'elsewhere'
    shutil.move(path if inside else path.parent, moved)
    load_bundle(moved if inside else moved / 'street')


def test_the_backbone_inside_the_bundle_comes_first(path: Path) -> None:
    expected = load_bundle(path).hash
    shutil.copytree(path.parent / 'backbones', path / 'backbones')
    backbone_file(path).write_bytes(b'spoiled')
    assert load_bundle(path).hash == expected


def test_the_manifest_may_be_a_link_and_so_may_the_folder(path: Path, tmp_path: Path) -> None:
    (tmp_path / 'current').symlink_to(path)
    (tmp_path / 'installed').mkdir()
    (tmp_path / 'installed' / 'manifest.json').symlink_to(path / 'manifest.json')
    expected = load_bundle(path).hash
    assert load_bundle(tmp_path / 'current').hash == expected
    assert load_bundle(tmp_path / 'installed').hash == expected


def test_saving_through_a_link_to_the_folder(network: PointATA, tmp_path: Path) -> None:
    (tmp_path / 'skills' / 'street').mkdir(parents=True)
    (tmp_path / 'current').symlink_to(tmp_path / 'skills' / 'street')
    save_bundle(tmp_path / 'current', network, describe())
    assert_same_state(load_bundle(tmp_path / 'current').network.state_dict(), network.state_dict())


def test_a_network_with_other_settings_than_its_manifest_is_not_saved(network, tmp_path) -> None:
    other = replace(CONFIG, adapter_width=5)
    with pytest.raises(BundleError, match='adapter_width'):
        save_bundle(tmp_path / 'street', network, describe(other))
    assert not (tmp_path / 'street').exists()


def test_a_network_that_diverged_is_not_saved_and_the_old_bundle_stays(path: Path) -> None:
    before = load_bundle(path).hash
    diverged = make_network(3)
    with torch.no_grad():
        diverged.adapters[1].down.weight[0, 0] = float('nan')
    with pytest.raises(BundleError, match='not finite'):
        save_bundle(path, diverged, describe())
    assert load_bundle(path).hash == before
    assert len(list((path.parent / 'backbones').iterdir())) == 1


def test_a_folder_that_cannot_be_written_is_named(network: PointATA, tmp_path: Path) -> None:
    (tmp_path / 'file').write_text('')
    with pytest.raises(BundleError, match='cannot be written'):
        save_bundle(tmp_path / 'file' / 'street', network, describe())


# ---------------------------------------------------------------------- one backbone, many skills


@pytest.fixture
def two_skills(tmp_path: Path) -> tuple[Path, Path]:
    """Two bundles whose networks differ in everything but the backbone."""
    first, second = make_network(1), make_network(2)
    second.backbone.load_state_dict(first.backbone.state_dict())
    save_bundle(tmp_path / 'first', first, describe(name='first'))
    save_bundle(tmp_path / 'second', second, describe(name='second'))
    return tmp_path / 'first', tmp_path / 'second'


def storages(state: Mapping[str, Tensor]) -> dict[str, int]:
    return {name: tensor.data_ptr() for name, tensor in state.items() if tensor.numel()}


def test_skills_share_one_backbone_file_and_one_backbone_in_memory(two_skills) -> None:
    first, second = (load_bundle(path).network for path in two_skills)
    assert len(list((two_skills[0].parent / 'backbones').iterdir())) == 1
    assert storages(first.backbone.state_dict()) == storages(second.backbone.state_dict())
    skills = [skill_and_backbone(network.state_dict())[0] for network in (first, second)]
    assert not set(storages(skills[0]).values()) & set(storages(skills[1]).values())


def test_a_shared_backbone_is_freed_with_its_last_network(two_skills) -> None:
    first, second = (load_bundle(path).network for path in two_skills)
    shared = weakref.ref(first.backbone.class_token.untyped_storage())
    modules = [weakref.ref(first.backbone), weakref.ref(second.backbone)]
    del first
    gc.collect()
    assert load_bundle(two_skills[0]).network.backbone.class_token.data_ptr() == (
        second.backbone.class_token.data_ptr()
    )
    del second
    gc.collect()
    assert [module() for module in modules] == [None, None]
    assert shared() is None


def test_a_backbone_that_was_trained_since_is_not_shared(two_skills) -> None:
    trained = load_bundle(two_skills[0]).network
    with torch.no_grad():
        trained.backbone.class_token += 1
    fresh = load_bundle(two_skills[1]).network
    assert torch.equal(fresh.backbone.class_token + 1, trained.backbone.class_token)


def test_a_backbone_can_be_had_for_oneself(two_skills) -> None:
    shared = load_bundle(two_skills[0]).network
    own = load_bundle(two_skills[1], share_backbone=False).network
    assert_same_state(own.backbone.state_dict(), shared.backbone.state_dict())
    assert not set(storages(own.state_dict()).values()) & set(
        storages(shared.backbone.state_dict()).values()
    )


def test_converting_one_network_leaves_the_others(two_skills) -> None:
    first, second = (load_bundle(path).network for path in two_skills)
    first.double()
    assert second.backbone.class_token.dtype == torch.float32
    assert load_bundle(two_skills[0], dtype=torch.float64).network.backbone.norm.weight.dtype == (
        torch.float64
    )


def test_side_threads_load_while_others_work(two_skills, network: PointATA) -> None:
    loaded: list[Bundle] = []
    devices: set[str] = set()
    done = threading.Event()

    def work() -> None:
        while not done.is_set():
            # Would be 'meta' if building the next network leaked into this thread.
            devices.add(torch.zeros(1).device.type)

    workers = [threading.Thread(target=work)]
    loaders = [
        threading.Thread(target=lambda p=path: loaded.append(load_bundle(p)))
        for path in two_skills * 3
    ]
    for thread in workers + loaders:
        thread.start()
    for thread in loaders:
        thread.join()
    done.set()
    workers[0].join()
    assert len(loaded) == 6
    assert devices == {'cpu'}
    assert len({bundle.network.backbone.class_token.data_ptr() for bundle in loaded}) == 1


def test_loading_draws_no_random_numbers(path: Path) -> None:
    before = torch.random.get_rng_state()
    load_bundle(path)
    assert torch.equal(torch.random.get_rng_state(), before)


# ---------------------------------------------------------------------- what must be refused


def forge(path: Path, *, config: NetworkConfig = CONFIG, **files: bytes) -> None:
    """Replace tensor files and seal them with a fitting manifest, as an attacker would."""
    manifest = Manifest.from_json((path / 'manifest.json').read_text())
    sealed = {'skill': manifest.files['skill'], 'backbone': manifest.files['backbone']}
    for name, data in files.items():
        digest = hashlib.sha256(data).hexdigest()
        sealed[name] = TensorFile(digest, len(data), sealed[name].dtype)
        if name == 'skill':
            (path / 'skill.safetensors').write_bytes(data)
        else:
            (path.parent / 'backbones' / f'{digest}.safetensors').write_bytes(data)
    manifest = describe(config).sealed(**sealed)
    (path / 'manifest.json').write_text(manifest.to_json())


def change_skill(change: Callable[[dict[str, Tensor]], Any]) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        tensors = safetensors.torch.load_file(path / 'skill.safetensors')
        change(tensors)
        forge(path, skill=safetensors.torch.save(tensors))

    return spoil


def change_bytes(name: str, change: Callable[[bytes], bytes], forged: bool = False):
    def spoil(path: Path) -> None:
        file = path / 'skill.safetensors' if name == 'skill' else backbone_file(path)
        if forged:
            forge(path, **{name: change(file.read_bytes())})
        else:
            file.write_bytes(change(file.read_bytes()))

    return spoil


def edit_manifest(old: str, new: str) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        text = (path / 'manifest.json').read_text()
        assert old in text
        (path / 'manifest.json').write_text(text.replace(old, new))

    return spoil


def flip(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def link(path: Path) -> None:
    real = path.with_name(path.name + '.real')
    path.rename(real)
    path.symlink_to(real)


def replace_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def point_manifest_at_another_file(path: Path) -> None:
    (path / 'manifest.json').rename(path / 'secret')
    (path / 'manifest.json').symlink_to('secret')


def leave_through_the_hash(path: Path) -> None:
    outside = path.parent.parent / 'outside.safetensors'
    shutil.copy(backbone_file(path), outside)
    document = json.loads((path / 'manifest.json').read_text())
    del document['checksum']
    document['files']['backbone']['sha256'] = '../../outside'
    text = json.dumps(document, sort_keys=True, separators=(',', ':'))
    document['checksum'] = hashlib.sha256(text.encode()).hexdigest()
    (path / 'manifest.json').write_text(json.dumps(document))


HEAD = 'segmentation_head.'
NAME = 'adapters.0.down.weight'

SPOILT: dict[str, tuple[Callable[[Path], Any], str]] = {
    'no folder': (shutil.rmtree, 'found no file'),
    'no manifest': (lambda p: (p / 'manifest.json').unlink(), 'found no file'),
    'no skill': (lambda p: (p / 'skill.safetensors').unlink(), 'No such file'),
    'no backbone': (lambda p: backbone_file(p).unlink(), 'was not found'),
    'manifest is no JSON': (lambda p: (p / 'manifest.json').write_text('{'), 'JSON'),
    'manifest is huge': (lambda p: os.truncate(p / 'manifest.json', 1 << 40), 'at most'),
    'manifest is a pipe': (lambda p: replace_by_pipe(p / 'manifest.json'), 'no regular file'),
    'manifest leads elsewhere': (point_manifest_at_another_file, 'expected a file named'),
    'manifest was edited': (edit_manifest('"seed": 1', '"seed": 2'), 'checksum'),
    'newer version': (edit_manifest('"format_version": 1', '"format_version": 2'), 'Upgrade'),
    'hash of the skill': (change_bytes('skill', flip), 'sha256'),
    'hash of the backbone': (change_bytes('backbone', flip), 'sha256'),
    'skill cut off': (change_bytes('skill', lambda b: b[:-9]), 'cut off'),
    'backbone cut off': (change_bytes('backbone', lambda b: b[:50]), 'cut off'),
    'skill with a tail': (change_bytes('skill', lambda b: b + b'x'), 'bytes, expected'),
    'skill is a link': (lambda p: link(p / 'skill.safetensors'), 'found a link'),
    'backbone is a link': (lambda p: link(backbone_file(p)), 'found a link'),
    'folder of backbones is a link': (lambda p: link(p.parent / 'backbones'), 'found a link'),
    'skill is a pipe': (lambda p: replace_by_pipe(p / 'skill.safetensors'), 'no regular file'),
    'skill is a folder': (
        lambda p: ((p / 'skill.safetensors').unlink(), (p / 'skill.safetensors').mkdir()),
        'no regular file',
    ),
    # From here on the hashes fit: the files themselves are hostile or made for another network.
    'path in the hash of the backbone': (leave_through_the_hash, "found '../../outside'"),
    'huge header': (
        change_bytes('skill', lambda b: (1 << 62).to_bytes(8, 'little') + b[8:], forged=True),
        'header too large',
    ),
    'header is no JSON': (
        change_bytes('backbone', lambda b: b[:8] + b'[' + b[9:], forged=True),
        'JSON',
    ),
    'tail behind the tensors': (
        change_bytes('skill', lambda b: b + b'malware', forged=True),
        'file not fully covered',
    ),
    'pickle': (change_bytes('skill', lambda b: b'\x80\x04' + b[2:], forged=True), 'pickle'),
    'missing tensor': (change_skill(lambda t: t.pop(NAME)), f"'{NAME}' is missing"),
    'surplus tensor': (
        change_skill(lambda t: t.update(backdoor=torch.zeros(2))),
        "'backdoor' is surplus",
    ),
    'skill that brings a backbone': (
        change_skill(lambda t: t.update({'backbone.class_token': torch.zeros(1, 1, 16)})),
        "'backbone.class_token' is surplus",
    ),
    'wrong shape': (
        change_skill(lambda t: t.update({NAME: t[NAME].T.contiguous()})),
        'is float32 [16, 4], expected float32 [4, 16]',
    ),
    'wrong type': (
        change_skill(lambda t: t.update({NAME: t[NAME].half()})),
        'is float16 [4, 16], expected float32 [4, 16]',
    ),
    'forbidden type': (change_skill(lambda t: t.update({NAME: t[NAME].double()})), 'is float64'),
    'not a number': (
        change_skill(lambda t: t[NAME].view(-1)[3].fill_(float('nan'))),
        f"'{NAME}' holds NaN",
    ),
    'infinity': (
        change_skill(lambda t: t[NAME].view(-1)[3].fill_(float('-inf'))),
        f"'{NAME}' holds NaN or infinity",
    ),
    'one class more than the head': (
        lambda p: forge(
            p, config=replace(CONFIG, segmentation_classes=('road', 'car', 'person', 'sky'))
        ),
        HEAD,
    ),
    'another action head': (
        lambda p: forge(p, config=replace(CONFIG, action_classes=())),
        'action_head',
    ),
    'other depth': (
        lambda p: forge(
            p,
            config=replace(
                CONFIG, backbone=replace(CONFIG.backbone, depth=1), segmentation_blocks=(1,)
            ),
        ),
        'is surplus',
    ),
    'network without end': (
        lambda p: forge(p, config=replace(CONFIG, backbone=replace(CONFIG.backbone, depth=10**9))),
        'network.backbone.depth',
    ),
    'network beyond memory': (
        lambda p: forge(
            p,
            config=replace(
                CONFIG, backbone=replace(CONFIG.backbone, width=1 << 20, encoder_width=1 << 20)
            ),
        ),
        'is float32',
    ),
    'features without preparation': (
        lambda p: forge(p, config=replace(CONFIG, features=('intensity',))),
        'preparation.features',
    ),
}


@pytest.mark.parametrize('case', list(SPOILT))
def test_a_spoilt_bundle_names_its_fault_and_changes_nothing(
    network: PointATA, pristine: Path, path: Path, case: str
) -> None:
    serving = load_bundle(pristine).network
    spoil, reason = SPOILT[case]
    spoil(path)
    with pytest.raises(BundleError) as caught:
        load_bundle(path)
    assert reason in str(caught.value)
    assert str(path.parent) in caught.value.message
    assert caught.value.fix
    assert_same_state(serving.state_dict(), network.state_dict())
    shared = load_bundle(pristine).network.backbone
    assert storages(shared.state_dict()) == storages(serving.backbone.state_dict())


@pytest.mark.parametrize('case', list(SPOILT))
def test_verifying_says_what_loading_says(path: Path, case: str) -> None:
    spoil, _ = SPOILT[case]
    spoil(path)
    report = verify_bundle(path)
    assert not report.ok
    with pytest.raises(BundleError) as caught:
        load_bundle(path)
    assert (report.problem, report.fix) == (caught.value.message, caught.value.fix)


@pytest.mark.parametrize('name', ['', 'a\0b', 'x' * 5000, '~nobody/models'])
def test_a_path_that_leads_nowhere_is_a_bundle_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(BundleError, match='found no file'):
        load_bundle(tmp_path / name)


def test_verifying_a_sound_bundle(network: PointATA, path: Path) -> None:
    report = verify_bundle(path)
    assert report.ok
    assert report.manifest.name == 'street'
    statistics = sum(b.numel() for b in network.buffers() if b.is_floating_point())
    assert report.parameters == network.parameter_summary()['total'] + statistics


def test_a_network_that_cannot_be_built_is_a_bundle_error(path: Path) -> None:
    sound = Manifest.from_json((path / 'manifest.json').read_text())
    for change in ({'width': 'wide'}, {'width': [1]}, {'colour': 1}, {'heads': 0}, {'width': 17}):
        values = {**sound.network, 'backbone': {**sound.network['backbone'], **change}}
        (path / 'manifest.json').write_text(replace(sound, network=values).to_json())
        with pytest.raises(BundleError, match="field 'network'"):
            load_bundle(path)


@pytest.fixture(scope='module')
def flipped(pristine: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('flipped') / 'models'
    shutil.copytree(pristine.parent, folder)
    return folder / pristine.name


@given(data=st.data())
@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_changed_byte_ever_becomes_other_weights(
    flipped: Path, network: PointATA, data: st.DataObject
) -> None:
    files = [flipped / 'manifest.json', flipped / 'skill.safetensors', backbone_file(flipped)]
    file = data.draw(st.sampled_from(files))
    original = file.read_bytes()
    spoilt = bytearray(original)
    # Headers are where structure can break; make sure they get their share.
    end = data.draw(st.sampled_from([8, 200, len(spoilt)]))
    for _ in range(data.draw(st.integers(1, 3))):
        spoilt[data.draw(st.integers(0, end - 1))] ^= data.draw(st.integers(1, 255))
    file.write_bytes(spoilt)
    try:
        bundle = load_bundle(flipped)
    except BundleError:
        return
    finally:
        file.write_bytes(original)
    assert_same_state(bundle.network.state_dict(), network.state_dict())
    assert bundle.hash == load_bundle(flipped).hash


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_changed_bytes_with_fitting_hashes_are_refused_or_finite(
    flipped: Path, data: st.DataObject
) -> None:
    """Whoever can seal a manifest may choose the weights, but never crash the reader."""
    file = flipped / 'skill.safetensors'
    original, manifest = file.read_bytes(), (flipped / 'manifest.json').read_bytes()
    spoilt = bytearray(original)
    end = data.draw(st.sampled_from([8, 2000, len(spoilt)]))
    for _ in range(data.draw(st.integers(1, 3))):
        spoilt[data.draw(st.integers(0, end - 1))] ^= data.draw(st.integers(1, 255))
    try:
        forge(flipped, skill=bytes(spoilt))
        network = load_bundle(flipped).network
    except BundleError:
        return
    finally:
        file.write_bytes(original)
        (flipped / 'manifest.json').write_bytes(manifest)
    assert all(t.isfinite().all() for t in network.state_dict().values())
