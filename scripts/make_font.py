# SPDX-License-Identifier: Apache-2.0
"""Makes the font that the package carries, from fonts of the Noto Sans family.

The font has Latin letters, punctuation, kana, and the digits of the scripts that
the sources have. Each argument is the folder of a family's WOFF files, as the
npm packages `@fontsource/noto-sans`, `-jp`, `-kannada`, `-bengali`,
`-devanagari` and `-telugu` have it (tried with 5.3.0):

    pip install fonttools
    python scripts/make_font.py noto-sans/files noto-sans-jp/files ...

A character that several families have is taken from the first of them.
"""

from __future__ import annotations

import pathlib
import sys
import tempfile

from fontTools import merge, subset, ttLib

_FONT = (
  pathlib.Path(__file__).resolve().parent.parent
  / 'cmnist_tfds/figures/class_names.ttf'
)

# Latin-1, dashes, quotes and dots, kana, and the digits of Devanagari, Bengali,
# Telugu and Kannada.
_CHARACTERS = {
  *range(0x20, 0x7F),
  *range(0xA0, 0x100),
  *(0x2013, 0x2014, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2026),
  *range(0x3041, 0x3097),
  *range(0x3099, 0x3100),
  *range(0x966, 0x970),
  *range(0x9E6, 0x9F0),
  *range(0xC66, 0xC70),
  *range(0xCE6, 0xCF0),
}

# The license of Noto Sans JP reserves the name "Source" for its makers, and that
# of a font which was changed should tell that it was.
_NAME = 'CMNIST Class Names'
_COPYRIGHT, _FAMILY, _STYLE, _UNIQUE, _FULL, _VERSION, _POSTSCRIPT = range(7)
_LICENSE, _LICENSE_URL = 13, 14


def main(folders: list[str]) -> None:
  """Writes the font from the families in the given folders."""
  left = set(_CHARACTERS)
  copyrights = []
  with tempfile.TemporaryDirectory() as scratch:
    parts = []
    for folder in folders:
      for file in sorted(pathlib.Path(folder).glob('*-400-normal.woff')):
        font = ttLib.TTFont(file)
        wanted = left & set(font.getBestCmap())
        if not wanted:
          continue
        left -= wanted
        copyrights.append(font['name'].getDebugName(_COPYRIGHT))
        # Digits and kana stand side by side: no layout tables.
        options = subset.Options(
          layout_features=[], hinting=False, notdef_outline=True
        )
        options.drop_tables += ['GSUB', 'GPOS', 'GDEF', 'BASE', 'STAT', 'vhea']
        options.drop_tables += ['vmtx']
        subsetter = subset.Subsetter(options)
        subsetter.populate(unicodes=wanted)
        subsetter.subset(font)
        font.flavor = None
        parts.append(pathlib.Path(scratch, f'{len(parts)}.ttf'))
        font.save(parts[-1])
    merged = merge.Merger().merge([str(part) for part in parts])
  if left:
    sys.exit(f'No folder has {", ".join(f"U+{c:04X}" for c in sorted(left))}.')
  names = merged['name']
  names.names = []
  for number, text in {
    _COPYRIGHT: '; '.join(dict.fromkeys(copyrights)),
    _FAMILY: _NAME,
    _STYLE: 'Regular',
    _UNIQUE: _NAME,
    _FULL: _NAME,
    _VERSION: 'Version 1.0',
    _POSTSCRIPT: _NAME.replace(' ', ''),
    _LICENSE: 'SIL Open Font License, Version 1.1',
    _LICENSE_URL: 'https://openfontlicense.org',
  }.items():
    names.setName(text, number, 3, 1, 0x409)
  merged.recalcTimestamp = False
  merged.save(_FONT)
  print(f'{_FONT}: {_FONT.stat().st_size:,} bytes')


if __name__ == '__main__':
  main(sys.argv[1:])
