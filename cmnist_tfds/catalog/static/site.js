'use strict';

// Index: search, filter, sort. The state is kept in the address after #, so a
// choice can be linked to and survives going back.
function filterSubsets(form) {
  const table = document.getElementById('subsets');
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const count = document.getElementById('count');
  let sorted = '';

  // On a phone the list of sources would stand between search and subsets.
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

  // Every name has some E in it: a single character is a class or a source.
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
  // Fields are empty only after the event.
  form.addEventListener('reset', () => setTimeout(remember));
  for (const button of table.querySelectorAll('[data-sort]')) {
    button.addEventListener('click', () => sort(button.dataset.sort));
  }
  restore();
}

// The rule of composition: which name ticked sources have, or why none.
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

// Copy buttons. Pages opened from disk may not use the clipboard's interface
// in every browser; there the text is selected and copied the old way.
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
