# SPDX-License-Identifier: Apache-2.0
"""Sources beyond the eleven: found when a name needs them, and never in the way."""

import os
import pathlib
import pickle
import re

import pytest
import running

from cmnist_tfds import cli, sources, subsets
from cmnist_tfds.sources import registry
from cmnist_tfds.system.errors import SubsetNameError

_SHAPES = pathlib.Path(__file__).with_name('shapes.toml').read_text('utf-8')


@pytest.fixture
def declare(tmp_path, monkeypatch):
  """Returns a function that declares a source by CMNIST_SOURCES."""
  declared = []

  def declare(name='shapes.toml', **changes):
    text = _SHAPES
    for field, value in changes.items():
      text = re.sub(f'(?m)^{field} = .*', lambda _: f'{field} = {value}', text)  # noqa: B023
    path = tmp_path / name
    path.write_text(text, 'utf-8')
    declared.append(str(path))
    monkeypatch.setenv('CMNIST_SOURCES', os.pathsep.join(declared))
    return path

  return declare


# The names of the paper ------------------------------------------------------


def test_the_paper_has_its_subsets_whatever_is_declared(declare):
  declare()
  assert subsets.subset('2-FSh').sources[1].key == 'Sh'
  assert len(subsets.published()) == 134
  assert len(subsets.declared()) == 804
  assert len(sources.SOURCES) == 11


def test_names_of_the_paper_read_no_other_declaration(tmp_path):
  wrong = tmp_path / 'wrong.toml'
  wrong.write_text('= 1')
  done = running.python(
    '-c',
    'import cmnist_tfds\n'
    'for name in ("3-EElKm", "1-Km", "2-FKd-r-7", "X-12"):\n'
    '  cmnist_tfds.subset(name)',
    CMNIST_SOURCES=str(wrong),
  )
  # Reading it would log what is wrong with it.
  assert (done.returncode, done.stderr) == (0, '')


# Names with extensions -------------------------------------------------------


@pytest.mark.parametrize(
  ('name', 'keys'),
  [
    ('3-FKdMn', 'F Kd Mn'),
    ('CMNIST-3-fkdmn', 'F Kd Mn'),
    ('6-BnDvFKdMnTe', 'Bn Dv F Kd Mn Te'),
    ('1-Dg', 'Dg'),
    ('2-FMn-r-3', 'F Mn'),
  ],
)
def test_combinations_with_extensions_resolve(name, keys):
  found = subsets.subset(name)
  assert ' '.join(s.key for s in found.sources) == keys
  assert subsets.subset(found.name) is found
  assert pickle.loads(pickle.dumps(found)) is found
  assert pickle.loads(pickle.dumps(found.sources[-1])) is found.sources[-1]


@pytest.mark.parametrize(
  ('name', 'why'),
  [
    ('3-MnFKd', 'out of order, which is F Kd Mn'),
    ('2-EMn', r'E \(.*\) and Mn \(MNIST\) share'),
    ('2-FXx', 'keys of sources: E Ed .* Mn .*CMNIST_SOURCES or --sources'),
  ],
)
def test_wrong_combinations_say_why(name, why):
  with pytest.raises(SubsetNameError, match=why):
    subsets.subset(name)


def test_sizes_are_given_as_far_as_they_are_known():
  # The classes of HASYv2 are not counted, and none has less than one example.
  sizes = [subsets.subset(f'1-Hy{r}').num_train for r in ('', '-r-1', '-r-2')]
  assert sizes == [151_241, 369, None]
  assert not subsets.subset('1-Hy').balanced
  assert 'an unknown number of train' in subsets.subset('1-Hy-r-2').description


def test_class_names_compare_in_one_unicode_form(declare):
  declare('a.toml', key="'Aa'", classes='["caf\\u00e9", "b", "c"]')
  declare('b.toml', key="'Ab'", classes='["cafe\\u0301", "d", "e"]')
  with pytest.raises(SubsetNameError, match=r'Aa .* and Ab .* share caf.'):
    subsets.subset('2-AaAb')


def test_a_spelling_with_two_readings_is_refused_with_both(declare):
  for letter, key in enumerate(('Q', 'Qs', 'St', 'T', 'D')):
    names = '", "'.join(f'{letter}-{number}' for number in range(3))
    declare(f'{key}.toml', key=f"'{key}'", classes=f'["{names}"]')
  with pytest.raises(SubsetNameError) as raised:
    subsets.subset('2-qst')
  for reading in ('2-QSt (Q + St)', '2-QsT (Qs + T)'):
    assert reading in str(raised.value)
  # In their own letter case, keys have one reading.
  assert [s.key for s in subsets.subset('2-QSt').sources] == ['Q', 'St']
  assert [s.key for s in subsets.subset('2-QsT').sources] == ['Qs', 'T']
  # `2-ED` could be Ed in other letter cases, too.
  with pytest.raises(SubsetNameError, match='out of order, which is D E'):
    subsets.subset('2-ED')


# Faults ----------------------------------------------------------------------


def test_a_key_that_exists_is_refused_with_both_owners(declare, caplog):
  path = declare(key="'Km'")
  with pytest.raises(SubsetNameError) as raised:
    subsets.subset('2-FShapes')
  # It is said once: in the error, or where there is none, as a warning.
  assert not caplog.text
  assert subsets.subset('1-Mn')
  for message in (str(raised.value), caplog.text):
    assert f"{path}: the key 'Km' is already" in message
    assert 'declared by cmnist_tfds' in message
  assert subsets.subset('2-FKm').sources[1].title == 'KMNIST'


@pytest.mark.parametrize(
  ('content', 'fault'),
  [
    (b'key = ', 'Invalid value'),
    (b'a = 1\n\xff = 2\n', "'utf-8' codec can't decode byte 0xff"),
    (b'title = "x"\n', r'no [[source]] table'),
    (None, 'No such file'),
  ],
)
def test_a_file_that_is_wrong_is_named_and_nothing_else_suffers(
  declare, tmp_path, monkeypatch, content, fault
):
  path = declare()
  wrong = tmp_path / 'wrong.toml'
  if content is not None:
    wrong.write_bytes(content)
  monkeypatch.setenv('CMNIST_SOURCES', f'{wrong}{os.pathsep}{path}')
  assert subsets.subset('2-FSh')
  assert subsets.subset('2-FKd')
  with pytest.raises(SubsetNameError) as raised:
    subsets.subset('2-FUnknown')
  assert str(wrong) in str(raised.value) and fault in str(raised.value)


def test_a_file_may_be_named_twice(declare, tmp_path, monkeypatch):
  path = declare()
  (tmp_path / 'link.toml').symlink_to(path)
  spellings = (path, path.parent / f'../{tmp_path.name}' / path.name,
               tmp_path / 'link.toml', '', ' ')  # fmt: skip
  monkeypatch.setenv('CMNIST_SOURCES', os.pathsep.join(map(str, spellings)))
  assert not registry.registry().faults
  assert registry.user_files() == [path]


def test_a_changed_file_is_read_again(declare):
  path = declare()
  before = subsets.subset('1-Sh').sources[0]
  assert subsets.subset('1-Sh').sources[0] is before
  text = path.read_text('utf-8').replace("'star'", "'comet'")
  path.write_text(text, 'utf-8')
  after = subsets.subset('1-Sh').sources[0]
  assert after.class_names == ('circle', 'square', 'comet')
  assert after.digest != before.digest


# Installed packages ----------------------------------------------------------


def _install(folder, package, target, files):
  """Writes a package as pip would install it, with an entry point."""
  for name, text in files.items():
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, 'utf-8')
  info = folder / f'{package}-1.0.dist-info'
  info.mkdir()
  (info / 'METADATA').write_text(f'Name: {package}\nVersion: 1.0\n')
  points = f'[cmnist_tfds.sources]\n{package} = {target}\n'
  (info / 'entry_points.txt').write_text(points)


_PATH = 'os.path.join(os.path.dirname(__file__), "a.toml")'


@pytest.mark.parametrize(
  ('target', 'code', 'fault'),
  [
    ('', '', None),
    ('', '__path__.append("/no")', None),
    (':PATH', f'import os; PATH = {_PATH}', None),
    (':paths', f'import os\ndef paths(): return [{_PATH}]', None),
    ('', 'raise ValueError("a\\nb")', 'fails: ValueError: a b\n'),
    ('', 'import no_such_module', 'fails: ModuleNotFoundError'),
    ('', 'import sys; sys.modules[__name__] = 42', 'fails: TypeError'),
    ('', '__path__ = []', 'it leads to no declaration'),
  ],
)
def test_an_installed_package_adds_a_source_or_is_named(
  declare, tmp_path, target, code, fault
):
  files = {'shapes_source/__init__.py': code, 'shapes_source/a.toml': _SHAPES}
  _install(tmp_path, 'shapes-source', f'shapes_source{target}', files)
  # If it fails, nothing else suffers.
  path = declare()
  done = running.python(
    '-c',
    'import cmnist_tfds; print(cmnist_tfds.subset("2-FSh").description)',
    PYTHONPATH=f'{running.REPOSITORY}{os.pathsep}{tmp_path}',
    CMNIST_SOURCES=str(path) if fault else '',
  )
  assert done.returncode == 0, done.stderr
  assert 'Sh (Shapes)' in done.stdout
  assert 'Traceback' not in done.stderr
  named = 'package shapes-source: its entry point shapes-source'
  assert (named in done.stderr) == bool(fault)
  assert (fault or '') in done.stderr


# Command line ----------------------------------------------------------------


def test_a_command_takes_declarations(declare, tmp_path, capsys, monkeypatch):
  path = declare()
  monkeypatch.delenv('CMNIST_SOURCES')
  argv = ['info', '2-FSh', '--data_dir', str(tmp_path), '--sources', str(path)]
  assert cli.main(argv) == 0
  assert 'Sh: Shapes, https://example.org/shapes' in capsys.readouterr().out
  assert 'CMNIST_SOURCES' not in os.environ
  with pytest.raises(SubsetNameError):
    subsets.subset('2-FSh')


@pytest.mark.parametrize('change', [{'key': "'F'"}, {'title': '1'}])
def test_a_wrong_declaration_fails_the_command(
  declare, capsys, monkeypatch, change
):
  path = declare(**change)
  monkeypatch.delenv('CMNIST_SOURCES')
  assert cli.main(['info', '2-FKd', '--sources', str(path)]) == 1
  error = capsys.readouterr().err
  assert str(path) in error
  assert len(error.splitlines()) == 1
