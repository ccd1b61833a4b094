'use strict';

// The index page: search, filter and sort. The state is kept in the fragment of
// the URL, so that links and the back button restore it.
function filterSubsets(form) {
  const table = document.getElementById('subsets');
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const count = document.getElementById('count');
  let sorted = '';

  // On a phone, the open list of sources would push the subsets out of sight.
  const more = form.querySelector('details');
  more.open = !matchMedia('(max-width: 30rem)').matches;

  // Scanned copies of the paper print the l of a key as a capital i.
  const folded = (text) =>
    text.toLowerCase().replace(/^cmnist[-/]/, '').replaceAll('l', 'i');
  const searched = new Map(rows.map((row) => {
    const classNames = row.dataset.classNames.split('|');
    const titles = [...row.querySelectorAll('.key')].map((key) => key.title);
    const words = classNames.filter((name) => name.length > 1);
    return [row, {
      text: folded([row.dataset.name, ...titles, ...words].join(' ')),
      characters: [...classNames, ...row.dataset.sources.split(' ')],
    }];
  }));

  // Most subset names contain an E, so a single character is only compared with
  // whole class names and keys of sources.
  function finds(row, word) {
    const {text, characters} = searched.get(row);
    return word.length === 1
      ? characters.includes(word) : text.includes(folded(word));
  }

  function apply() {
    const wanted = new FormData(form);
    const words = wanted.get('q').trim().split(/\s+/);
    const sources = wanted.getAll('source');
    const least = Number(wanted.get('from'));
    const most = Number(wanted.get('to')) || Infinity;
    const balanced = wanted.get('balanced');
    const train = Number(wanted.get('most')) || Infinity;
    let shown = 0;
    for (const row of rows) {
      const has = row.dataset.sources.split(' ');
      row.hidden = !(
        words.every((word) => finds(row, word)) &&
        sources.every((key) => has.includes(key)) &&
        row.dataset.classes >= least &&
        row.dataset.classes <= most &&
        (!balanced || row.dataset.balanced === balanced) &&
        row.dataset.train <= train
      );
      shown += !row.hidden;
    }
    count.textContent =
      shown === 1 ? '1 subset' : `${shown || 'No'} subsets`;
  }

  function sort(key) {
    const down = sorted === key;
    sorted = down ? `-${key}` : key;
    const numeric = !['name', 'sources', 'balanced'].includes(key);
    const compare = (a, b) => numeric
      ? a.dataset[key] - b.dataset[key]
      : a.dataset[key].localeCompare(b.dataset[key], 'en', {numeric: true});
    body.append(...[...rows].sort((a, b) => (down ? -1 : 1) * compare(a, b)));
    for (const button of table.querySelectorAll('[data-sort]')) {
      const heading = button.closest('th');
      if (button.dataset.sort === key) {
        heading.setAttribute('aria-sort', down ? 'descending' : 'ascending');
      } else {
        heading.removeAttribute('aria-sort');
      }
    }
  }

  function remember() {
    const state = new URLSearchParams(
      [...new FormData(form)].filter(([, value]) => value));
    history.replaceState(null, '', `#${state}`);
    apply();
  }

  function restore() {
    const state = new URLSearchParams(location.hash.slice(1));
    for (const field of form.elements) {
      if (!field.name) continue;
      if (field.type === 'checkbox') {
        field.checked = state.getAll(field.name).includes(field.value);
      } else {
        field.value = state.get(field.name) || '';
      }
    }
    apply();
  }

  form.addEventListener('input', remember);
  form.addEventListener('submit', (event) => event.preventDefault());
  // The browser clears the fields after this event.
  form.addEventListener('reset', () => setTimeout(remember));
  for (const button of table.querySelectorAll('[data-sort]')) {
    button.addEventListener('click', () => sort(button.dataset.sort));
  }
  restore();
}

// Returns the subset of the ticked sources, or why they do not make one.
function compose(sources, keys) {
  const chosen = sources.filter((source) => keys.includes(source.key));
  if (chosen.length < 2) return {why: 'Tick two or more sources.'};
  const holders = new Map();
  for (const source of chosen) {
    for (const name of source.classes) {
      holders.set(name, [...(holders.get(name) || []), source.key]);
    }
  }
  const namesBySources = new Map();
  for (const [name, held] of holders) {
    if (held.length < 2) continue;
    const sharing = held.join(' and ');
    namesBySources.set(
      sharing, [...(namesBySources.get(sharing) || []), name]);
  }
  if (namesBySources.size) {
    const collisions = [...namesBySources].map(([sharing, names]) =>
      `${names.join(' ')} ${names.length > 1 ? 'are' : 'is'} in ${sharing}`);
    return {why: `No subset: ${collisions.join('; ')}.`};
  }
  return {
    name: `${chosen.length}-${chosen.map((source) => source.key).join('')}`,
    classes: holders.size,
  };
}

function composeSubset(fieldset) {
  const sources = JSON.parse(document.getElementById('facts').textContent);
  const composed = document.getElementById('composed');
  function show() {
    const ticked = [...fieldset.querySelectorAll(':checked')];
    const {name, classes, why} =
      compose(sources, ticked.map((box) => box.value));
    composed.textContent = why || '';
    if (name) {
      const link = document.createElement('a');
      link.href = `subsets/${name}.html`;
      link.textContent = `CMNIST-${name}`;
      composed.append(link, `, ${classes} classes`);
    }
  }
  fieldset.addEventListener('change', show);
  show();
}

// Copies the code beside a button. Some browsers deny pages opened from disk the
// clipboard API; there the code is selected and copied by a command instead.
async function copy(button) {
  const code = button.parentElement.querySelector('code');
  try {
    await navigator.clipboard.writeText(code.textContent);
  } catch {
    getSelection().selectAllChildren(code);
    document.execCommand('copy');
  }
  button.textContent = 'Copied';
  setTimeout(() => { button.textContent = 'Copy'; }, 2000);
}

const filter = document.getElementById('filter');
if (filter) filterSubsets(filter);
const ticks = document.getElementById('compose');
if (ticks) composeSubset(ticks);
for (const button of document.querySelectorAll('.copy')) {
  button.addEventListener('click', () => copy(button));
}
