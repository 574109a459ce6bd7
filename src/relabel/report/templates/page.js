"use strict";
// The rows of the page, and how they are looked through. Texts are put into the page as texts alone, never as markup.
(() => {
  const rows = JSON.parse(document.getElementById("data").textContent);
  const at = (id) => document.getElementById(id);
  const list = at("list"), search = at("search"), reason = at("reason"), flaw = at("flaw"), help = at("help");
  const FLAWS = { truncated: "cut off", repeated: "repeats itself", refused: "refuses", unchanged: "as the old one" };
  const STATUSES = [["", "All"], ["ok", "Labelled"], ["rejected", "Rejected"]];
  let status = "", here = -1, shown = [];

  function make(tag, name, text) {
    const one = document.createElement(tag);
    if (name) one.className = name;
    if (text !== undefined) one.textContent = text;
    return one;
  }

  function field(title, text, kind, pieces, mark) {
    const isCode = text !== null && /^[[{]/.test(text);
    const box = make("div", "field " + kind + (isCode ? " code" : "")), value = make("dd");
    value.dir = "auto";
    if (pieces) for (const [isOwn, part] of pieces) value.append(isOwn ? make(mark, "", part) : part);
    else value.textContent = text;
    box.append(make("dt", "", title), value);
    return box;
  }

  function several(title, texts, kind, into) {
    texts.forEach((text, index) => {
      if (text !== null) into.append(field(texts.length > 1 ? title + " " + (index + 1) : title, text, kind));
    });
  }

  const isBare = (one, row) => one.label === null && row.status === "rejected";

  function answer(one, row) {
    const near = make("dl", "fields");
    const box = make("div");
    if (one.name) box.append(make("h4", "", one.name));
    if (one.prompt !== null) near.append(field("prompt", one.prompt, "raw"));
    if (one.old !== null) near.append(field("old", one.old, "old", one.old_pieces, "del"));
    if (one.label !== null) near.append(field(one.old === null ? "label" : "new", one.label, "label", one.label_pieces, "ins"));
    if (one.reason) near.append(field(one.label === null ? "no label" : "remark", one.reason, one.label === null ? "why" : "remark"));
    if (isBare(one, row)) several("text", one.texts, "raw", near);
    box.append(near);
    return box;
  }

  // What is behind "More": made when it is opened, for most rows never.
  function behind(row) {
    const box = make("div", "more"), kept = make("dl", "fields");
    for (const one of row.answers) {
      const far = make("dl", "fields");
      if (one.name) box.append(make("h4", "", one.name));
      if (!isBare(one, row)) several("text", one.texts, "raw", far);
      several("reasoning", one.reasoning, "reasoning", far);
      box.append(far);
    }
    for (const [name, text] of Object.entries(row.kept)) kept.append(field(name, text, "given"));
    const facts = Object.entries(row.facts).map(([name, value]) => name + " " + value).join(" · ");
    box.append(kept, make("p", "facts", facts));
    return box;
  }

  function pictures(row) {
    const box = make("div", "pictures");
    row.pictures.forEach((picture, index) => {
      if (!picture.src) return box.append(make("div", "none", picture.why));
      const image = make("img");
      image.alt = "picture " + (index + 1) + " of " + row.file + " row " + row.number;
      image.decoding = "async";
      image.src = picture.src;
      box.append(image);
    });
    return box;
  }

  function card(row, index) {
    const box = make("article", "row " + row.status), head = make("header"), title = make("h3");
    box.id = "row-" + index;
    box.tabIndex = -1;
    box.setAttribute("role", "listitem");
    title.append(row.file + " row ", make("b", "", String(row.number)));
    head.append(title);
    if (row.code) head.append(make("span", "tag bad", row.code));
    for (const kind of row.flaws) head.append(make("span", "tag warn", FLAWS[kind] || kind));
    const more = make("button", "open-row", "More");
    more.type = "button";
    more.setAttribute("aria-expanded", "false");
    more.setAttribute("aria-label", "More of " + row.file + " row " + row.number);
    more.addEventListener("click", () => open(index, !box.classList.contains("open")));
    head.append(more);
    box.append(head);
    if (row.pictures.length) {
      const held = pictures(row);
      held.addEventListener("click", (event) => event.target.tagName === "IMG" && more.click());
      box.append(held);
    } else box.classList.add("bare");
    const texts = make("div", "texts"), given = make("dl", "fields");
    for (const [name, text] of Object.entries(row.given)) given.append(field(name, text, "given"));
    if (row.missing) given.append(field("source", row.missing, "given"));
    texts.append(given);
    for (const one of row.answers) texts.append(answer(one, row));
    box.append(texts);
    return box;
  }

  const cards = rows.map(card);
  const wholes = rows.map((row) => [row.file, row.number, row.reason, ...Object.values(row.given), ...Object.values(row.kept),
    ...row.answers.flatMap((one) => [one.label, one.old, one.prompt, ...one.texts, ...one.reasoning])].join("\n").toLowerCase());
  list.append(...cards);

  function open(index, isOpen) {
    if (isOpen && !cards[index].querySelector(".more")) cards[index].querySelector(".texts").append(behind(rows[index]));
    cards[index].classList.toggle("open", isOpen);
    const more = cards[index].querySelector(".open-row");
    more.textContent = isOpen ? "Less" : "More";
    more.setAttribute("aria-expanded", String(isOpen));
  }

  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    shown = [];
    rows.forEach((row, index) => {
      const fits = (!status || row.status === status) && (!reason.value || row.code === reason.value) &&
        (!flaw.value || row.flaws.includes(flaw.value)) && words.every((word) => wholes[index].includes(word));
      cards[index].hidden = !fits;
      if (fits) shown.push(index);
    });
    if (!shown.includes(here)) here = -1;
    at("count").textContent = shown.length === rows.length ? rows.length + " rows" : shown.length + " of " + rows.length;
    at("empty").hidden = shown.length > 0;
    for (const button of at("status").querySelectorAll("button")) button.setAttribute("aria-pressed", String(button.value === status));
  }

  function clear() {
    status = reason.value = flaw.value = search.value = "";
    filter();
  }

  function options(select, all, kinds, names) {
    const add = (value, text) => { const one = make("option", "", text); one.value = value; select.append(one); };
    add("", all);
    for (const kind of [...new Set(kinds)].sort()) add(kind, (names[kind] || kind) + " (" + kinds.filter((one) => one === kind).length + ")");
    select.parentElement.hidden = kinds.length === 0;
    select.addEventListener("change", filter);
  }

  function setStatus(value) {
    status = value;
    if (value === "ok") reason.value = "";
    filter();
  }

  function step(by) {
    if (!shown.length) return;
    const place = shown.indexOf(here);
    const next = place < 0 ? (by > 0 ? firstInView() : 0) : Math.min(shown.length - 1, Math.max(0, place + by));
    go(shown[next]);
  }

  function firstInView() {
    const found = shown.findIndex((index) => cards[index].getBoundingClientRect().bottom > 80);
    return Math.max(0, found);
  }

  function go(index) {
    here = index;
    cards[index].focus({ preventScroll: true });
    cards[index].scrollIntoView({ block: "nearest" });
  }

  for (const [value, text] of STATUSES) {
    const button = make("button", "", text + (value ? " " + rows.filter((row) => row.status === value).length : ""));
    button.type = "button";
    button.value = value;
    button.addEventListener("click", () => setStatus(value));
    at("status").append(button);
  }
  at("status").hidden = !rows.some((row) => row.status);
  options(reason, "Any reason", rows.map((row) => row.code).filter(Boolean), {});
  options(flaw, "Any flaw", rows.flatMap((row) => row.flaws), FLAWS);
  search.addEventListener("input", filter);
  at("filters").addEventListener("submit", (event) => event.preventDefault());
  at("clear").addEventListener("click", clear);
  at("clear-too").addEventListener("click", clear);
  at("help-open").addEventListener("click", () => help.showModal());
  list.addEventListener("focusin", (event) => { here = cards.indexOf(event.target.closest(".row")); });
  for (const button of document.querySelectorAll(".to-reason")) {
    button.addEventListener("click", () => {
      clear();
      reason.value = button.dataset.reason;
      filter();
      at("rows").scrollIntoView();
    });
  }

  const KEYS = {
    j: () => step(1),
    k: () => step(-1),
    o: () => { const isOpen = shown.some((index) => !cards[index].classList.contains("open")); shown.forEach((index) => open(index, isOpen)); },
    s: () => setStatus(STATUSES[(STATUSES.findIndex(([value]) => value === status) + 1) % STATUSES.length][0]),
    c: clear,
    "/": () => { search.focus(); search.select(); },
    "?": () => help.showModal(),
    Enter: (event) => { if (here >= 0 && event.target === cards[here]) open(here, !cards[here].classList.contains("open")); else return false; },
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const act = Object.hasOwn(KEYS, event.key) && KEYS[event.key];
    if (act && act(event) !== false) event.preventDefault();
  });
  filter();
})();
