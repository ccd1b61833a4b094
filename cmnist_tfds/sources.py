# SPDX-License-Identifier: Apache-2.0
"""The eleven sources of CMNIST, as records.

Everything the package knows of a source stands here and nowhere else: names,
files, figures, labels, licence, citation. A further MNIST-like source is a
further record in `SOURCES`.

Facts are those of the paper (S. Wenkel, "Concatenated MNIST (CMNIST): Making
784 pixels challenging again", 2019, section 3), of its published generator
(github.com/swenkel/cmnist) and of the sources' own files and pages. Sizes and
hashes are those of the files as their origins publish them.
"""

from __future__ import annotations

import dataclasses
import functools
import string
from collections.abc import Iterable, Mapping

SPLITS = ('train', 'test')

# Height and width, in pixels, of every image of every source.
IMAGE_SIZE = 28


@dataclasses.dataclass(frozen=True, kw_only=True)
class OriginFile:
  """One file as its origin publishes it.

  Attributes:
    path: `<folder>/<file name>`: where the file lies in a manual folder, in a
      mirror and in the sample.
    size: Size in bytes, None where it was never published.
    md5: MD5 as 32 hexadecimal digits.
    sha256: SHA-256 as 64 hexadecimal digits, None where it is not known; then
      MD5 and size prove the file.
    git_blob: Git's SHA-1 of the file; it covers the size, and stands in where
      the size is not known.
    urls: Where the very same bytes are published: the origin first.
    archive: The archive the file is published in; then `urls` is empty.
    member: The file's name inside `archive`.
    equivalents: Files that hold the same array in another form.
    fingerprint: `verification.fingerprint` of the array in the file, None
      where no complete file has been at hand.
    outdated_size: Size in bytes of a replaced version that still goes about
      under the same name, None where there is none.
  """

  path: str
  size: int | None
  md5: str
  sha256: str | None
  git_blob: str | None = None
  urls: tuple[str, ...] = ()
  archive: OriginFile | None = None
  member: str = ''
  equivalents: tuple[OriginFile, ...] = ()
  fingerprint: str | None = None
  outdated_size: int | None = None

  @property
  def name(self) -> str:
    """The file's name at its origin, without the folder."""
    return self.path.rpartition('/')[2]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Split:
  """The train or the test split of a source.

  Attributes:
    images: File with the images, uint8 (num_examples, 28, 28).
    labels: File with the raw labels, uint8 (num_examples,).
    num_examples: How many examples there are.
    class_counts: How many there are of each class, in the order of the raw
      labels; None where it has never been published and no file was at hand.
  """

  images: OriginFile
  labels: OriginFile
  num_examples: int
  class_counts: tuple[int, ...] | None


# There is one record of each source, so they compare by identity.
@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Source:
  """A dataset that CMNIST concatenates.

  Attributes:
    key: Abbreviation that names of subsets are made of, as 'Km'.
    title: Name for people.
    class_names: Names of the classes, by ascending raw label.
    first_label: The raw label of the first class.
    splits: The files and figures, by split name.
    min_train_per_class: No class has fewer training examples than this.
    mix_labels: Raw labels this source gives to CMNIST-X, by number of classes of
      the mix: those of X-12 and of X-24.
    transposed: Whether the files store rows and columns of images swapped.
    homepage: Page of the source.
    license: Licence, as the source's own files state it.
    citation: BibTeX entry.
    faults: What a user should know of the data.
  """

  key: str
  title: str
  class_names: tuple[str, ...]
  first_label: int = 0
  splits: Mapping[str, Split]
  min_train_per_class: int
  mix_labels: Mapping[int, tuple[int, ...]] = dataclasses.field(
    default_factory=dict
  )
  transposed: bool = False
  homepage: str
  license: str
  citation: str
  known_issues: tuple[str, ...] = ()

  @property
  def raw_labels(self) -> range:
    """The labels the files use, ascending."""
    return range(self.first_label, self.first_label + len(self.class_names))

  @functools.cached_property
  def folder(self) -> str:
    """The folder its files lie in, in a manual folder or a mirror."""
    return self.splits['train'].images.path.rpartition('/')[0]


# Size in bytes, MD5, SHA-256 and fingerprint of a file.
_Proof = tuple[int | None, str, str | None, str | None]


def _splits(
  files: Iterable[OriginFile],
  sizes: tuple[int, int],
  class_counts: Iterable[tuple[int, ...] | None],
) -> dict[str, Split]:
  """Groups images and labels of train, then of test, into splits."""
  files = tuple(files)
  return {
    name: Split(
      images=images,
      labels=labels,
      num_examples=size,
      class_counts=counts,
    )
    for name, images, labels, size, counts in zip(
      SPLITS, files[::2], files[1::2], sizes, class_counts, strict=True
    )
  }


def _published(
  folder: str,
  homes: tuple[str, ...],
  *files: tuple[str, int | None, str, str | None, str | None],
) -> tuple[OriginFile, ...]:
  """Files that lie side by side at each of their homes."""
  return tuple(
    OriginFile(
      path=f'{folder}/{name}',
      size=size,
      md5=md5,
      sha256=sha256,
      urls=tuple(home + name for home in homes),
      fingerprint=fingerprint,
    )
    for name, size, md5, sha256, fingerprint in files
  )


_EMNIST_ZIP = OriginFile(
  path='emnist/gzip.zip',
  size=561_753_746,
  md5='58c8d27c78d21e728a6bc7b3cc06412e',
  sha256='fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e',
  urls=('https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip',),
)

_EMNIST_CITATION = """\
@inproceedings{cohen2017emnist,
  title = {{EMNIST}: Extending {MNIST} to handwritten letters},
  author = {Cohen, Gregory and Afshar, Saeed and Tapson, Jonathan and
            van Schaik, Andr{\\'e}},
  booktitle = {2017 International Joint Conference on Neural Networks (IJCNN)},
  pages = {2921--2926},
  year = {2017},
  doi = {10.1109/IJCNN.2017.7966217},
}"""

_KUZUSHIJI_CITATION = """\
@article{clanuwat2018deep,
  title = {Deep Learning for Classical Japanese Literature},
  author = {Clanuwat, Tarin and Bober-Irizar, Mikel and Kitamoto, Asanobu and
            Lamb, Alex and Yamamoto, Kazuaki and Ha, David},
  journal = {arXiv preprint arXiv:1812.01718},
  year = {2018},
}"""

_DIGITS = tuple(string.digits)
_LETTERS = tuple(string.ascii_uppercase)
# By-merge keeps a lower-case class only where it does not look like the
# upper-case one.
_MERGED = _DIGITS + _LETTERS + tuple('abdefghnqrt')


def _emnist(
  key: str,
  title: str,
  subset: str,
  class_names: tuple[str, ...],
  sizes: tuple[int, int],
  proofs: tuple[_Proof, _Proof, _Proof, _Proof],
  *,
  first_label: int = 0,
  balanced: bool = True,
  min_train_per_class: int | None = None,
  mix_labels: Mapping[int, tuple[int, ...]] | None = None,
  known_issues: tuple[str, ...] = (),
) -> Source:
  """One of the six sets in EMNIST's archive."""
  names = (
    f'emnist-{subset}-{split}-{part}-ubyte.gz'
    for split in SPLITS
    for part in ('images-idx3', 'labels-idx1')
  )
  files = (
    OriginFile(
      path=f'emnist/{name}',
      size=size,
      md5=md5,
      sha256=sha256,
      archive=_EMNIST_ZIP,
      member=f'gzip/{name}',
      fingerprint=fingerprint,
    )
    for name, (size, md5, sha256, fingerprint) in zip(
      names, proofs, strict=True
    )
  )
  num_classes = len(class_names)
  return Source(
    key=key,
    title=title,
    class_names=class_names,
    first_label=first_label,
    splits=_splits(
      files,
      sizes,
      (
        (size // num_classes,) * num_classes if balanced else None
        for size in sizes
      ),
    ),
    min_train_per_class=min_train_per_class or sizes[0] // num_classes,
    mix_labels=mix_labels or {},
    transposed=True,
    homepage=('https://www.nist.gov/itl/products-and-services/emnist-dataset'),
    license="None stated on NIST's page",
    citation=_EMNIST_CITATION,
    known_issues=(
      'Images are stored transposed in the files; here they are upright.',
      *known_issues,
    ),
  )


_EMNIST_MNIST = _emnist(
  'E',
  'EMNIST MNIST',
  'mnist',
  _DIGITS,
  (60_000, 10_000),
  (
    (
      14_873_795,
      '3663598a39195d030895b6304abb5065',
      '5f9942f441031c0f1f2e4d162059fd6e19ea808b34c328b6d16cab0ed24c78f2',
      None,
    ),
    (
      29_480,
      '6c092f03c9bb63e678f80f8bc605fe37',
      '00c6d3c2342fdffb1711e0b5656cac4ce5862d2826399d383a9bac07d612e9f8',
      None,
    ),
    (
      2_484_884,
      'fb51b6430fc4dd67deaada1bf25d4524',
      'b25640fa9e356c618132f5df347c95ef5bae6d9c2596be1de40f7e0ae1c3eac6',
      None,
    ),
    (
      5_144,
      'ae7f6be798a9a5d5f2bd32e078a402dd',
      'bcc5385d38f083dba046f5f756e99b32f5ea7fad122c6243c71c2239873065ca',
      None,
    ),
  ),
  mix_labels={12: (0, 4), 24: (0, 4, 5, 9)},
)

_EMNIST_DIGITS = _emnist(
  'Ed',
  'EMNIST Digits',
  'digits',
  _DIGITS,
  (240_000, 40_000),
  (
    (
      59_515_779,
      'd2662ecdc47895a6bbfce25de9e9a677',
      'f7c95004d14d81af89522e67d8f0c781dfb3bd544181c81bfe1eb6b41c35b726',
      None,
    ),
    (
      113_859,
      '2223fcfee618ac9c89ef20b6e48bcf9e',
      '6638a6ff5fe2eefd9cca2471995b46c82986b8e4b2a70d2f5ce8e05d7edb319e',
      None,
    ),
    (
      9_908_519,
      'a159b8b3bd6ab4ed4793c1cb71a2f5cc',
      '20ebe43509264f7639d37c835a3f0b009e90b29e00a099a03101abe1644a3f63',
      None,
    ),
    (
      19_960,
      '8afde66ea51d865689083ba6bb779fac',
      'bad1834c45d5988e270b99d43b13edc3fd898f658ffbc2caf2846ef27f7b05b0',
      None,
    ),
  ),
)

_EMNIST_LETTERS = _emnist(
  'El',
  'EMNIST Letters',
  'letters',
  _LETTERS,
  (124_800, 20_800),
  (
    (
      30_804_864,
      '8795078f199c478165fe18db82625747',
      '6288f418a917e007bf5fddb823a2dc7a5c6a35031401b93292a539cb12bd881f',
      None,
    ),
    (
      79_283,
      'c16de4f1848ddcdddd39ab65d2a7be52',
      '9759af91ea6bccdf07a6040fd085861f2ec88e37f7c3f5760f6feb57106fbe5c',
      'de6d3f50b0dba2f51ac6134ddac794b504ce6065a3ff497fb3b09c9fac3d7998',
    ),
    (
      5_039_157,
      '382093a19703f68edac6d01b8dfdfcad',
      '50f0e93d75b99b463e9760b8345866f22587fa2c2fba472730a5ba09c693412d',
      None,
    ),
    (
      144,
      'd4108920cd86601ec7689a97f2de7f59',
      '924955c31fe7fd809b7303b5c0141282955f4b8390c74cdfd5d80435e0f4b4cb',
      '26ea5bc937b44abea5b2314676eac7a06e29119cc7d70e966e17dfd0496a2fb4',
    ),
  ),
  first_label=1,
  mix_labels={12: (15, 21), 24: (15, 16, 19, 21)},
  known_issues=('Raw labels start at 1.',),
)

_EMNIST_BALANCED = _emnist(
  'Eb',
  'EMNIST Balanced',
  'balanced',
  _MERGED,
  (112_800, 18_800),
  (
    (
      28_207_740,
      '4041b0d6f15785d3fa35263901b5496b',
      '74295e75e4e9fa2c102147460ee7eb763653d5132d883a84fb88932bfb8d2db4',
      None,
    ),
    (
      80_618,
      '7a35cc7b2b7ee7671eddf028570fbd20',
      'b46d41e5156a0a8aaaa4d18979fdd1588850fa8571018acffd5d93b325a7d6ed',
      '6c9a5ce5bf0a00eb124f1d5a07d848ce0a145567c0cdca06a8afe8dfbbba5994',
    ),
    (
      4_714_707,
      '6818d20fe2ce1880476f747bbc80b22b',
      '117fc12b015e37ea98bfb2cbba3f77c3782c056cdbd219b87abfc8661d7135db',
      None,
    ),
    (
      13_504,
      'acd3694070dcbf620e36670519d4b32f',
      'a67cac948379b67270b9a4d0a01c8ec661598accf2f2b1964340b7c83cb175cd',
      'dac401b8f55b9696cffa6f03400b93c281d8284e8ca9dbd1534a2e35abf03d15',
    ),
  ),
)

_EMNIST_BY_MERGE = _emnist(
  'Em',
  'EMNIST By-merge',
  'bymerge',
  _MERGED,
  (697_932, 116_323),
  (
    (
      173_375_281,
      '4a792d4df261d7e1ba27979573bf53f3',
      '39bf8c68037dad40db35348895f7e4e056e8c0a005ab78869c9fbc2c96e947be',
      None,
    ),
    (
      476_444,
      '491be69ef99e1ab1f5b7f9ccc908bb26',
      '2c47293b9e62d6abf6ad05fbf67e40baa32adfd380b8d7b44dcc35534b64e1f1',
      None,
    ),
    (
      28_905_295,
      '8eb5d34c91f1759a55831c37ec2a283f',
      '5e5815ec1b522089134435f7c55e75a00960b58414793593ffff23efc0821683',
      None,
    ),
    (
      79_351,
      'c13f4cd5211cdba1b8fa992dae2be992',
      '8bda1516255683ba9071e141947ca0c91a911176065cdd6259b0b4d8dc5b5f35',
      None,
    ),
  ),
  balanced=False,
  # EMNIST Balanced draws 2,400 training examples of each class from it.
  min_train_per_class=2_400,
  known_issues=('Classes are far from balanced.',),
)

_EMNIST_BY_CLASS = _emnist(
  'Ec',
  'EMNIST By-class',
  'byclass',
  _DIGITS + _LETTERS + tuple(string.ascii_lowercase),
  (697_932, 116_323),
  (
    (
      173_367_313,
      '712dda0bd6f00690f32236ae4325c377',
      '9e21987f03a6eb8b870187e785883ddad96947299587908f1a7ec2ca0f4be5f0',
      None,
    ),
    (
      491_603,
      'ee299a3ee5faf5c31e9406763eae7e43',
      'f7ef403d48dc18a89dae0d83d11ee69cecb6e1c12c3a961d03712e495c02a8fa',
      None,
    ),
    (
      28_908_322,
      '1435209e34070a9002867a9ab50160d7',
      '5ec835bd5d5b1a66378a132e727fef20fe994b3cc666899befcca5ac766f50cd',
      None,
    ),
    (
      81_839,
      '7a0f934bd176c798ecba96b36fda6657',
      '501e305eeeacb093b162592d80e8a2632040872360fa6d85cfcb2200d91ca92a',
      None,
    ),
  ),
  balanced=False,
  # A cautious bound: the rarest letters of NIST SD 19 count above 1,500.
  min_train_per_class=1_000,
  known_issues=('Classes are far from balanced.',),
)

_FASHION_MNIST = Source(
  key='F',
  title='Fashion-MNIST',
  class_names=(
    'T-shirt/top',
    'Trouser',
    'Pullover',
    'Dress',
    'Coat',
    'Sandal',
    'Shirt',
    'Sneaker',
    'Bag',
    'Ankle boot',
  ),
  splits=_splits(
    _published(
      'fashion_mnist',
      (
        'http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/',
        'https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/',
        'https://storage.googleapis.com/tensorflow/tf-keras-datasets/',
      ),
      (
        'train-images-idx3-ubyte.gz',
        26_421_880,
        '8d4fb7e6c68d591d4c3dfef9ec88bf0d',
        '3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84',
        '4e9af49424960ddfc18297e1111582ac85a2161608075916bb0b015f127234d4',
      ),
      (
        'train-labels-idx1-ubyte.gz',
        29_515,
        '25c81989df183df01b3e8a0aad5dffbe',
        'a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845',
        '3aae643a837fdbde7d732750c01d1876be8e78bffeadfb1c0d51df95b36772af',
      ),
      (
        't10k-images-idx3-ubyte.gz',
        4_422_102,
        'bef4ecab320f06d8554ea6380940ec79',
        '346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073',
        'b461749657ee5c90a3d1371472d59775467a65a136a5ae47f123fb7ee7f7513b',
      ),
      (
        't10k-labels-idx1-ubyte.gz',
        5_148,
        'bb300cfdad3c16e7a12a480ee83cd310',
        '67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5',
        'f4899599c7c61a7f89b9ac8428032e2fbfb367a3deb34aa8c650e03290ed3b29',
      ),
    ),
    (60_000, 10_000),
    ((6_000,) * 10, (1_000,) * 10),
  ),
  min_train_per_class=6_000,
  mix_labels={12: (0, 8), 24: (0, 4, 7, 8)},
  homepage='https://github.com/zalandoresearch/fashion-mnist',
  license='MIT, Copyright (c) 2017 Zalando SE',
  citation="""\
@article{xiao2017fashion,
  title = {Fashion-{MNIST}: a Novel Image Dataset for Benchmarking Machine
           Learning Algorithms},
  author = {Xiao, Han and Rasul, Kashif and Vollgraf, Roland},
  journal = {arXiv preprint arXiv:1708.07747},
  year = {2017},
}""",
  known_issues=('43 duplicates in train, 10 images shared by train and test.',),
)

_KANNADA_MNIST = Source(
  key='Kd',
  title='Kannada-MNIST',
  class_names=tuple('೦೧೨೩೪೫೬೭೮೯'),
  splits=_splits(
    _published(
      'kannada_mnist',
      (
        'https://github.com/vinayprabhu/Kannada_MNIST/raw/master/data/output_tensors/MNIST_format/',
      ),
      (
        'X_kannada_MNIST_train.npz',
        47_040_244,
        '8b2a3078f805b92ab2511d75932f8372',
        '705210ec1a9e83be08defa8cc25b91a5b88232ffee1e4a70fcba49b2dde798ab',
        '44d862f0b2eaa9d4a36cb8da8015bc1dbfa0a83fa083d344eb90903ed1fb5bd0',
      ),
      (
        'y_kannada_MNIST_train.npz',
        60_244,
        '2d4859bfa11c546bd593aafd86c1aa31',
        '462e31f9c9b78ac0e920d6dbdc7ee3e8260ed39fb4d3a48cf45dca0e03a1c415',
        '51d70f7a892988ef8edfd415211caae66ab5a92608707636cc74aa22e395f016',
      ),
      (
        'X_kannada_MNIST_test.npz',
        7_840_244,
        'a21bc9f8cbca65fc9c359e8c8665a077',
        '54c45ea9b3dfd9c8e0815c9541cab5560ceaf6d549d62aea71598aa6a71498e0',
        'e1068122c04f8b902d27f4219260a6ed48b4210c50c7164a5b624d340519edd7',
      ),
      (
        'y_kannada_MNIST_test.npz',
        10_244,
        '834d18e99f16665f6a28b7f8dd92eece',
        'c09271075e536da023eeb695f15153d1a015d2c37df003337b386c686206a77b',
        '8fe4682d5c20bb707804bd2397f76fa496602a2809d5c518761b9b4dbb35aa28',
      ),
    ),
    (60_000, 10_000),
    ((6_000,) * 10, (1_000,) * 10),
  ),
  min_train_per_class=6_000,
  mix_labels={12: (1, 8), 24: (1, 2, 4, 8)},
  homepage='https://github.com/vinayprabhu/Kannada_MNIST',
  license='None stated in its repository',
  citation="""\
@article{prabhu2019kannada,
  title = {Kannada-{MNIST}: A new handwritten digits dataset for the Kannada
           language},
  author = {Prabhu, Vinay Uday},
  journal = {arXiv preprint arXiv:1908.01242},
  year = {2019},
}""",
  known_issues=(
    'Some digits look like others (೦ like 0 and O); the rule that no class'
    ' name occurs twice does not see that.',
    'The test split is the main one, not Dig-MNIST.',
  ),
)

_KMNIST = Source(
  key='Km',
  title='KMNIST',
  class_names=tuple('おきすつなはまやれを'),
  splits=_splits(
    (
      dataclasses.replace(
        npz,
        equivalents=(dataclasses.replace(idx, fingerprint=npz.fingerprint),),
        outdated_size=(
          3_069_285 if npz.name == 'kmnist-test-imgs.npz' else None
        ),
      )
      for npz, idx in zip(
        _published(
          'kmnist',
          ('http://codh.rois.ac.jp/kmnist/dataset/kmnist/',),
          (
            'kmnist-train-imgs.npz',
            18_384_171,
            'a183fbc01ed9a345513b145673d3d0bb',
            '11d69e17c8fd294905864aef177fd10c2185e5a3655f4da03d72ea5a64c17a72',
            None,
          ),
          (
            'kmnist-train-labels.npz',
            29_700,
            'b0e1d240e8afec72b50437fc3bc5908a',
            'a325c877035602cb9b9ba54f4194a2a1b5f718026a463db5b5e0cdc124c03720',
            '700a17085e22b7d9e84883b25d044cdd1dbd10026db5a93baddcdfa7c29804ff',
          ),
          (
            'kmnist-test-imgs.npz',
            3_079_479,
            'dace6de62ca8b90843cc45366337d02e',
            '692d824896bec8f3c357ebf7a0fe904ed67ac632ce953d0b58f7fbef7bb27d87',
            'b08369bb9f8eb9dae6d6dc34a1b3d2a696707cfafabac3b116fc6e77f7ecf88f',
          ),
          (
            'kmnist-test-labels.npz',
            5_304,
            '3ae489a79983d0fe386152684e3b5412',
            '660f13a4705431ea2a6391c41ecbe384cd0d932c595a101ec4f3b8989e785046',
            '37a7c48bb1f41decbc301dc8b23f781c67d1886ca04b46d30f4f34233de16fdd',
          ),
        ),
        _published(
          'kmnist',
          ('http://codh.rois.ac.jp/kmnist/dataset/kmnist/',),
          (
            'train-images-idx3-ubyte.gz',
            18_165_135,
            'bdb82020997e1d708af4cf47b453dcf7',
            '51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4',
            None,
          ),
          (
            'train-labels-idx1-ubyte.gz',
            29_497,
            'e144d726b3acfaa3e44228e80efcd344',
            'e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17',
            None,
          ),
          (
            't10k-images-idx3-ubyte.gz',
            3_041_136,
            '5c965bf0a639b31b8f53240b1b52f4d7',
            'edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5',
            None,
          ),
          (
            't10k-labels-idx1-ubyte.gz',
            5_120,
            '7320c461ea6c1c855c0b718fb2a4b134',
            '20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c',
            None,
          ),
        ),
        strict=True,
      )
    ),
    (60_000, 10_000),
    ((6_000,) * 10, (1_000,) * 10),
  ),
  min_train_per_class=6_000,
  mix_labels={12: (5, 9), 24: (5, 7, 8, 9)},
  homepage='http://codh.rois.ac.jp/kmnist/',
  license='CC BY-SA 4.0, with an attribution text',
  citation=_KUZUSHIJI_CITATION,
  known_issues=(
    'Files from before 2019-02-05 are outdated and still go about under'
    ' the same names.',
    'Test is shifted from train: they come from different source books.',
  ),
)

_KUZUSHIJI_49 = Source(
  key='K49',
  title='Kuzushiji-49',
  class_names=tuple(
    'あいうえおかきくけこさしすせそたちつてとなにぬねの'
    'はひふへほまみむめもやゆよらりるれろわゐゑをんゝ'
  ),
  splits=_splits(
    _published(
      'kuzushiji49',
      ('http://codh.rois.ac.jp/kmnist/dataset/k49/',),
      (
        'k49-train-imgs.npz',
        66_117_696,
        '7ac088b20481cf51dcd01ceaab89d821',
        None,
        None,
      ),
      (
        'k49-train-labels.npz',
        164_485,
        '44a8e1b893f81e63ff38d73cad420f7a',
        'fbfef4750ce9aa70b6072f0bca7daa9e80e2d79b379d5ae923265a63396260e4',
        '3c9d04f0d8834c40a8507a7ffa0a6dd9b4720e960f6a005d8fd108bd38dff4de',
      ),
      (
        'k49-test-imgs.npz',
        10_971_201,
        'd352e201d846ce6b94f42c990966f374',
        None,
        None,
      ),
      (
        'k49-test-labels.npz',
        27_450,
        '4da6f7a62e67a832d5eb1bd85c5ee448',
        '299be30ea32c2cc69318f5a5a579ffbffb0a6a1ccff134fb0ca834cd525ad6af',
        '514f2be6d9ff687f8a5e7af15fe69bf7997137c7eef9dc11f3c797c771bebefb',
      ),
    ),
    (232_365, 38_547),
    # Counted in the two label files.
    (
      (
        6000,
        6000,
        6000,
        777,
        6000,
        6000,
        6000,
        6000,
        4714,
        6000,
        6000,
        6000,
        6000,
        4165,
        3867,
        6000,
        2565,
        6000,
        6000,
        6000,
        6000,
        6000,
        2063,
        2451,
        6000,
        6000,
        5132,
        6000,
        6000,
        1993,
        6000,
        3060,
        1718,
        3394,
        6000,
        6000,
        1598,
        6000,
        6000,
        6000,
        6000,
        6000,
        2139,
        2397,
        417,
        392,
        6000,
        6000,
        3523,
      ),
      (
        1000,
        1000,
        1000,
        126,
        1000,
        1000,
        1000,
        1000,
        767,
        1000,
        1000,
        1000,
        1000,
        678,
        629,
        1000,
        418,
        1000,
        1000,
        1000,
        1000,
        1000,
        336,
        399,
        1000,
        1000,
        836,
        1000,
        1000,
        324,
        1000,
        498,
        280,
        552,
        1000,
        1000,
        260,
        1000,
        1000,
        1000,
        1000,
        1000,
        348,
        390,
        68,
        64,
        1000,
        1000,
        574,
      ),
    ),
  ),
  min_train_per_class=392,
  homepage='http://codh.rois.ac.jp/kmnist/',
  license='CC BY-SA 4.0, with an attribution text',
  citation=_KUZUSHIJI_CITATION,
  known_issues=(
    'Classes are far from balanced (392 to 6,000): its authors ask for'
    ' balanced accuracy.',
  ),
)

_NOTMNIST = Source(
  key='N',
  title='notMNIST',
  class_names=tuple('ABCDEFGHIJ'),
  splits=_splits(
    (
      dataclasses.replace(
        file, git_blob='6cf3076b36bafa7da1563b28bbe863fd78a008a8'
      )
      if file.size is None
      else file
      for file in _published(
        'notmnist',
        ('https://github.com/davidflanagan/notMNIST-to-MNIST/raw/master/',),
        (
          'train-images-idx3-ubyte.gz',
          None,
          'd916d7283fce4d08db9867c640ec0042',
          None,
          None,
        ),
        (
          'train-labels-idx1-ubyte.gz',
          29_455,
          'eab59f88903339e01dac19deed3824c0',
          '0db4c4ec5d019838a57f8c9dd764ada7dc3c73e6ccc93032c538c5845f332545',
          'b32d48f270699614654e1f288fbec0773d6b52f0071c547d08b2b2d2cebf597c',
        ),
        (
          't10k-images-idx3-ubyte.gz',
          3_172_375,
          '2c87c839a4ef9b238846600eec8c35b7',
          '70ae9e06201f2827e5b0a3781a3169d735dd2efc69996b9eeaee7f10ed4044d7',
          'bc002449b534ca0d2e8f1f0821956f9bb866fb1729b69b9d8c02e34bbebaefb1',
        ),
        (
          't10k-labels-idx1-ubyte.gz',
          5_118,
          '7ea9118cbafd0f6e3ee2ad771d782a01',
          '1fa03836e01c862542f8eb83463bb951bebec6fcb3efa28dad748c6b38a9021b',
          '164b2a0cdebd47d2dfd0cd69267e0b400f1a09e819c9dbe5762013573634d295',
        ),
      )
    ),
    (60_000, 10_000),
    ((6_000,) * 10, (1_000,) * 10),
  ),
  min_train_per_class=6_000,
  mix_labels={12: (1, 9), 24: (1, 3, 4, 9)},
  homepage='https://github.com/davidflanagan/notMNIST-to-MNIST',
  license=(
    'MIT, Copyright (c) 2016 (the reduced set); data with permission of'
    ' the original author; glyphs of public fonts'
  ),
  citation="""\
@misc{bulatov2011notmnist,
  title = {{notMNIST} dataset},
  author = {Bulatov, Yaroslav},
  year = {2011},
  url = {http://yaroslavvb.blogspot.com/2011/09/notmnist-dataset.html},
}""",
  known_issues=(
    '9,804 of the 10,000 test images are unique; 141 are all white, each'
    ' in class I.',
    'About 6.5 % of labels are wrong in the large set it was drawn from.',
  ),
)

# In the order that names of subsets and numbers of labels follow.
SOURCES: tuple[Source, ...] = (
  _EMNIST_MNIST,
  _EMNIST_DIGITS,
  _EMNIST_LETTERS,
  _EMNIST_BALANCED,
  _EMNIST_BY_MERGE,
  _EMNIST_BY_CLASS,
  _FASHION_MNIST,
  _KANNADA_MNIST,
  _KMNIST,
  _KUZUSHIJI_49,
  _NOTMNIST,
)
