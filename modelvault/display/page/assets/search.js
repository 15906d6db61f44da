"use strict";
// Finds models and versions by all of the words that are typed.  Text is put in as text, never as markup.
const root = document.documentElement.dataset.root;
const form = document.querySelector("form[role=search]");
const query = document.getElementById("query");
const found = document.getElementById("found");
const most = 30;

const entries = [];
for (const [model, versions] of globalThis.modelvault.models) {
  const page = `${root}models/${model}.html`;
  entries.push({ href: page, name: model, number: model, words: `${versions.length} versions`, text: model });
  versions.forEach(([number, words], at) => {
    const place = Math.floor(at / globalThis.modelvault.per) + 1;
    const where = place === 1 ? page : `${root}older/${model}/${place}.html`;
    const text = `${model}:${number} ${words}`.toLowerCase();
    entries.push({ href: `${where}#${number}`, name: `${model}:${number}`, number, words, text });
  });
}

function item(entry) {
  const link = document.createElement("a");
  link.href = entry.href;
  link.textContent = entry.name;
  const line = document.createElement("li");
  line.append(link, ` ${entry.words}`);
  return line;
}

function search() {
  const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
  const all = words.length ? entries.filter((entry) => words.every((word) => entry.text.includes(word))) : [];
  const isNamed = (entry) => words.includes(entry.name) || words.includes(entry.number);
  const hits = [...all.filter(isNamed), ...all.filter((entry) => !isNamed(entry))];
  const list = document.createElement("ul");
  list.append(...hits.slice(0, most).map(item));
  const count = document.createElement("p");
  count.textContent = hits.length > most ? `${hits.length} found, the first ${most}:` : `${hits.length} found`;
  found.replaceChildren(...(words.length ? [count, ...(hits.length ? [list] : [])] : []));
}

function open() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const details = target && target.closest("details");
  if (details) {
    details.open = true;
    details.scrollIntoView();
  }
}

form.hidden = false;
form.addEventListener("submit", (event) => event.preventDefault());
query.addEventListener("input", search);
addEventListener("hashchange", open);
search();
open();
