// The page is complete without this script. With it: colours can be chosen, rows and columns filtered, features
// explained, nodes found, and the matrix walked through by arrow keys. Text from the data goes into the page as text
// only (textContent), never as markup.
"use strict";
(() => {
  const by = (id) => document.getElementById(id);
  const data = JSON.parse(by("data").textContent);
  const told = by("told");
  const make = (tag, className, text) => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  };
  for (const id of ["theme", "tools", "node-tools", "keys"]) by(id).hidden = false;

  // --- Colours: the system's, or chosen and remembered where the browser lets a file remember.
  const remember = (value) => { try { localStorage.setItem("cpulevel-theme", value); } catch { /* then not */ } };
  const remembered = () => { try { return localStorage.getItem("cpulevel-theme"); } catch { return null; } };
  const paint = (theme) => {
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
  };
  for (const choice of document.querySelectorAll("input[name=theme]")) {
    if (choice.value === remembered()) { choice.checked = true; paint(choice.value); }
    choice.addEventListener("change", () => { paint(choice.value); remember(choice.value); });
  }

  // --- The matrix: which rows and columns there are.
  const grid = by("grid");
  const table = by("cells");
  const heads = [...table.tHead.rows[0].cells];
  const rows = [...table.querySelectorAll("tr[data-f]")];
  const groups = [...table.querySelectorAll("tr.group")];
  table.setAttribute("role", "grid");
  const plain = (text) => text.toLowerCase().replace(/[.\-\s]/g, "_");
  const haystack = new Map(rows.map((row) => {
    const feature = data.features[row.dataset.f];
    return [row, plain([feature.name, feature.also || "", feature.title].join(" "))];
  }));
  const shown = (row) => row.getClientRects().length > 0;

  const filterRows = () => {
    const wanted = plain(by("find-feature").value.trim());
    table.dataset.show = document.querySelector("input[name=show]:checked").value;
    if (by("kernel").checked) table.dataset.kernel = ""; else delete table.dataset.kernel;
    for (const row of rows) row.hidden = wanted !== "" && !haystack.get(row).includes(wanted);
    let count = 0;
    for (const group of groups) {
      group.hidden = false;
      let some = 0;
      for (let row = group.nextElementSibling; row; row = row.nextElementSibling) if (shown(row)) ++some;
      group.hidden = some === 0;
      count += some;
    }
    by("none").hidden = count > 0;
    return count;
  };
  const filterColumns = () => {
    const wanted = by("find-type").value.trim().toLowerCase();
    heads.forEach((head, column) => {
      if (head.dataset.t === undefined) return;
      const type = data.types[head.dataset.t];
      const name = type ? type.name + " " + (type.cpu || "") : head.textContent;
      const hide = wanted !== "" && !name.toLowerCase().includes(wanted);
      if (head.hidden === hide) return;
      head.hidden = hide;
      for (const row of rows) row.cells[column].hidden = hide;
    });
    return heads.filter((head) => head.dataset.t !== undefined && !head.hidden).length;
  };
  const refilter = () => {
    const columns = filterColumns();
    const count = filterRows();
    told.textContent = `${count} feature${count === 1 ? "" : "s"}, ${columns} column${columns === 1 ? "" : "s"}`;
    hideTip();
    settle();
  };
  by("tools").addEventListener("input", refilter);
  by("tools").addEventListener("submit", (event) => event.preventDefault());
  by("node-tools").addEventListener("submit", (event) => event.preventDefault());

  // --- Walking: one cell of the matrix is in the tab order; arrow keys move it (ARIA grid pattern).
  let here = null;
  const enter = (cell) => {
    if (here) here.tabIndex = -1;
    here = cell;
    if (here) here.tabIndex = 0;
  };
  const settle = () => {
    if (here && shown(here)) return;
    const first = rows.find(shown);
    enter(first ? first.cells[0] : null);
  };
  const visibleRows = () => rows.filter(shown);
  const step = (cell, down, right) => {
    const all = visibleRows();
    const at = all.indexOf(cell.parentElement);
    const row = all[Math.min(all.length - 1, Math.max(0, at + down))];
    const cells = [...row.cells].filter((one) => !one.hidden);
    const column = cells.findIndex((one) => one.cellIndex === cell.cellIndex);
    return cells[Math.min(cells.length - 1, Math.max(0, column + right))];
  };
  const intoView = (cell) => {
    // Sticky heads would cover it.
    const box = cell.getBoundingClientRect();
    const frame = grid.getBoundingClientRect();
    const top = frame.top + table.tHead.getBoundingClientRect().height;
    const left = frame.left + heads[0].getBoundingClientRect().width;
    if (box.top < top) grid.scrollTop -= top - box.top;
    else if (box.bottom > frame.bottom - 4) grid.scrollTop += box.bottom - frame.bottom + 20;
    if (cell.cellIndex > 0) {
      if (box.left < left) grid.scrollLeft -= left - box.left;
      else if (box.right > frame.right - 4) grid.scrollLeft += box.right - frame.right + 20;
    }
  };
  const page = () => Math.max(1, Math.floor((grid.clientHeight - table.tHead.offsetHeight) / 28) - 1);
  const moves = {
    ArrowUp: () => [-1, 0], ArrowDown: () => [1, 0], ArrowLeft: () => [0, -1], ArrowRight: () => [0, 1],
    PageUp: () => [-page(), 0], PageDown: () => [page(), 0],
    Home: (event) => [event.ctrlKey ? -1e6 : 0, -1e6], End: (event) => [event.ctrlKey ? 1e6 : 0, 1e6],
  };
  table.addEventListener("keydown", (event) => {
    const cell = event.target.closest("td, th[scope=row]");
    const move = moves[event.key];
    if (!cell || !move || event.altKey || event.metaKey) return;
    event.preventDefault();
    const next = step(cell, ...move(event));
    enter(next);
    next.focus({preventScroll: true});
    intoView(next);
    explain(next);
  });
  table.addEventListener("focusin", (event) => {
    const cell = event.target.closest("td, th[scope=row]");
    if (!cell || !cell.parentElement.dataset.f) return;
    enter(cell);
    explain(cell);
  });
  table.addEventListener("focusout", () => hideTip());
  table.addEventListener("click", (event) => {
    const cell = event.target.closest("tr[data-f] > *");
    if (!cell) return;
    enter(cell);
    cell.focus({preventScroll: true});
    explain(cell);
  });

  // --- Explanations: of the feature, of the cell, of the column.
  const tip = by("tip");
  let marked = [];
  const hideTip = () => {
    tip.hidden = true;
    for (const element of marked) element.classList.remove("here");
    marked = [];
  };
  const nodes = (number) => `${number.toLocaleString("en")} node${number === 1 ? "" : "s"}`;
  const verdicts = {
    y: ["has it", "good"], n: ["lacks it", "bad"], o: ["has it, but the system does not enable it", "bad"],
    u: ["its description does not tell", "bad"],
  };
  const typeParagraphs = (head) => {
    const type = data.types[head.dataset.t];
    if (!type) return [make("p", "head", head.textContent.trim())];
    const title = make("p", "head");
    title.append(make("bdi", "", type.name), ` (${nodes(type.nodes)})`);
    const parts = [title];
    if (type.cpu) parts.push(make("p", "small", type.cpu));
    return parts;
  };
  const featureParagraphs = (feature) => {
    const title = make("p", "head");
    title.append(make("code", "", feature.name), ` ${feature.title}`);
    const parts = [title];
    const line = (label, text) => { if (text) parts.push(make("p", "", `${label} ${text}`)); };
    line("Why:", feature.why);
    line("This one is", feature.lost && feature.lost.startsWith("lost") ? feature.lost + "." : "");
    line("", feature.lost && !feature.lost.startsWith("lost") ? feature.lost : "");
    line("Needs", feature.needs);
    line("Needed by", feature.needed);
    line("Also called", feature.also);
    if (feature.source) parts.push(make("p", "small", feature.source));
    return parts;
  };
  const explain = (cell) => {
    hideTip();
    const row = cell.closest("tr");
    const feature = row && data.features[row.dataset.f];
    const head = heads[cell.cellIndex];
    const parts = [];
    if (feature && head && head.dataset.t !== undefined) {
      const type = data.types[head.dataset.t];
      const [verdict, tone] = verdicts[cell.className] || [`${cell.textContent} of these types have it`, "bad"];
      const said = make("p", "verdict " + tone);
      said.append(make("bdi", "", type ? type.name : head.querySelector("span").textContent),
                  type ? ` (${nodes(type.nodes)}): ${verdict}` : `: ${verdict}`);
      parts.push(said, ...featureParagraphs(feature));
      marked = [head, row];
    } else if (feature) {
      parts.push(...featureParagraphs(feature));
      marked = [row];
    } else if (cell.dataset.t !== undefined) {
      parts.push(...typeParagraphs(cell));
      marked = [cell];
    } else {
      return;
    }
    tip.replaceChildren(...parts);
    for (const element of marked) element.classList.add("here");
    tip.hidden = false;
    place(cell);
    if (document.activeElement === cell) {
      cell.setAttribute("aria-describedby", "tip");
      told.textContent = parts.slice(0, feature && cell.cellIndex > 1 ? 2 : 1).map((part) => part.textContent).join(". ");
    }
  };
  const place = (cell) => {
    const box = cell.getBoundingClientRect();
    const size = tip.getBoundingClientRect();
    const room = document.documentElement.clientWidth;
    const anchor = cell.cellIndex === 0 && cell.parentElement.dataset.f ? box.left + 24 : box.left + box.width / 2 - 30;
    const left = Math.max(8, Math.min(anchor, room - size.width - 8));
    const below = box.bottom + 8 + size.height <= window.innerHeight || box.top < size.height + 8;
    tip.style.left = `${left + window.scrollX}px`;
    tip.style.top = `${(below ? box.bottom + 8 : box.top - size.height - 8) + window.scrollY}px`;
  };
  let soon = 0;
  table.addEventListener("pointerover", (event) => {
    if (event.pointerType === "touch") return;
    const cell = event.target.closest("tr[data-f] > *, thead th[data-t]");
    clearTimeout(soon);
    if (cell) soon = setTimeout(() => explain(cell), 120);
  });
  table.addEventListener("pointerleave", () => { clearTimeout(soon); if (!table.contains(document.activeElement)) hideTip(); });
  grid.addEventListener("scroll", () => { clearTimeout(soon); if (!table.contains(document.activeElement)) hideTip(); });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { clearTimeout(soon); hideTip(); }  // also what is about to come
    const typing = event.target.closest && event.target.closest("input:not([type=radio]):not([type=checkbox])");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      by("find-feature").focus();
    }
  });

  // --- Nodes: names are unfolded when somebody looks for the first time.
  let names = null;
  const unfoldRanges = (parts) => {
    let all = [parts[0]];
    for (let i = 1; i < parts.length; i += 2) {
      const numbers = [];
      for (const span of parts[i].split(",")) {
        const [first, last = first] = span.split("-");
        const width = first.length === last.length ? first.length : 0;
        for (let value = Number(first); value <= Number(last); ++value) numbers.push(String(value).padStart(width, "0"));
      }
      all = all.flatMap((name) => numbers.map((number) => name + number + parts[i + 1]));
    }
    return all;
  };
  const bytes = new TextEncoder();
  const chars = new TextDecoder();
  const unfoldLines = (text) => {
    let last = new Uint8Array();
    return text.split("\n").map((line) => {
      const rest = bytes.encode(line.slice(1));
      const shared = parseInt(line[0], 36);
      const name = new Uint8Array(shared + rest.length);
      name.set(last.subarray(0, shared));
      name.set(rest, shared);
      last = name;
      return chars.decode(name);
    });
  };
  const unfold = () => {
    if (names) return names;
    names = [];
    data.types.forEach((type, index) => {
      const own = (type.ranges || []).flatMap(unfoldRanges);
      if (type.lines !== undefined) own.push(...unfoldLines(type.lines));
      for (const name of own) names.push([name, name.toLowerCase(), index]);
    });
    return names;
  };
  const missing = data.types.reduce((sum, type) => sum + (type.missing || 0), 0);
  const most = 60;
  const showColumn = (index) => {
    by("find-type").value = "";
    refilter();
    const head = heads.find((one) => one.dataset.t === String(index)) || heads[heads.length - 1];
    const row = rows.find(shown);
    by("matrix").scrollIntoView();
    if (!row) return;
    const cell = row.cells[heads.indexOf(head)];
    enter(cell);
    cell.focus({preventScroll: true});
    intoView(cell);
    explain(cell);
  };
  const findNodes = () => {
    const wanted = by("find-node").value.trim().toLowerCase();
    const list = by("hits");
    list.replaceChildren();
    list.hidden = wanted === "";
    by("blocks").hidden = wanted !== "";
    if (wanted === "") { by("found").textContent = ""; return; }
    const hits = unfold().filter(([, low]) => low.includes(wanted));
    // A name that is the word comes before names that contain it.
    hits.sort((a, b) => (b[1] === wanted) - (a[1] === wanted));
    for (const [name, , index] of hits.slice(0, most)) {
      const item = make("li");
      const button = make("button", "", "show in the matrix");
      button.type = "button";
      button.addEventListener("click", () => showColumn(index));
      const of = make("span");
      of.append(make("bdi", "", data.types[index].name));
      const label = make("bdi", "mono", name);
      button.setAttribute("aria-label", `show ${name} in the matrix`);
      item.append(label, of, button);
      list.append(item);
    }
    list.hidden = hits.length === 0;
    const rest = hits.length > most ? `, the first ${most} are listed` : "";
    const cut = missing > 0 ? `. ${nodes(missing)} cannot be searched: their names are not in this page` : "";
    by("found").textContent = `${nodes(hits.length)} found${rest}${cut}`;
  };
  by("find-node").addEventListener("input", findNodes);

  // Paper has no closed drawers.
  addEventListener("beforeprint", () => {
    hideTip();
    for (const drawer of document.querySelectorAll("#nodes details")) drawer.open = true;
  });

  for (const row of rows) for (const cell of row.cells) cell.tabIndex = -1;
  filterRows();
  settle();
})();
