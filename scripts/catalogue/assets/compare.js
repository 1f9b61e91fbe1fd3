"use strict";
// Any two revisions, compared here: #old=REPO:TAG-rN&new=REPO:TAG-rN. Contents are scripts that assign data.
(() => {
  const { images, revisions } = window.catalogue;
  const form = document.getElementById("compare");
  const said = document.getElementById("said");
  const result = document.getElementById("result");
  const collator = new Intl.Collator("en", { numeric: true });
  const known = new Map(revisions.map((item) => [`${images[item[0]][0]}-r${item[1]}`, item]));
  const newest = new Map();
  for (const item of revisions) {
    const id = images[item[0]][0];
    if (!newest.has(id) || item[5] === "current") newest.set(id, `${id}-r${item[1]}`);
  }

  const make = (tag, ...content) => {
    const made = document.createElement(tag);
    made.append(...content);
    return made;
  };
  const size = (bytes) => (bytes >= 1e9 ? `${(bytes / 1e9).toFixed(2)} GB` : bytes < 1e7 ? `${(bytes / 1e6).toFixed(1)} MB` : `${Math.round(bytes / 1e6)} MB`);
  const normal = (name) => name.replace(/[-_.]+/g, "-").toLowerCase();
  // An image without -rN is its newest revision.
  const meant = (text) => known.has(text) ? text : newest.get(text) || text;

  function load(digest) {
    if (window.inventories && window.inventories[digest]) return Promise.resolve(window.inventories[digest]);
    return new Promise((resolve, reject) => {
      const script = make("script");
      script.src = `data/inventories/${digest.replace(":", "-")}.js`;
      script.onload = () => resolve(window.inventories[digest]);
      script.onerror = () => reject(new Error(`The contents of ${digest} could not be loaded.`));
      document.head.append(script);
    });
  }

  function grouped(pairs) {
    const found = new Map();
    for (const [key, name, version] of pairs) {
      if (found.has(key)) found.get(key).versions.add(version);
      else found.set(key, { name, versions: new Set([version]) });
    }
    return new Map([...found].map(([key, item]) => [key, { name: item.name, version: [...item.versions].sort().join(" and ") }]));
  }

  const parts = [
    ["System", (of) => [
      ["platform", "platform", of.image.platform],
      ...(of.system ? [["system", "distribution", of.system.name]] : []),
      ...(of.python.interpreter && of.python.interpreter.version ? [["python", "Python", of.python.interpreter.version]] : []),
      ...of.gpu.libraries.map((item) => [item.name, item.name, item.version]),
      ...(of.gpu.lowest_driver ? [["driver", "lowest driver", of.gpu.lowest_driver]] : []),
    ]],
    ["Python packages", (of) => of.python.environments.flatMap((place) => place.distributions.map((item) => [`${place.path} ${normal(item.name)}`, item.name, item.version]))],
    ["Distribution packages", (of) => {
      // By the architecture too where a name is there for several.
      const times = new Map();
      for (const item of of.apt) times.set(item.name, (times.get(item.name) || 0) + 1);
      return of.apt.map((item) => [times.get(item.name) > 1 ? `${item.name}:${item.architecture}` : item.name, item.name, item.version]);
    }],
    ["Conda packages", (of) => of.conda.map((item) => [`${item.prefix} ${item.name}`, item.name, `${item.version} ${item.build}`])],
    ["Settings", (of) => [
      ...Object.entries(of.config.env).map(([name, value]) => [`env ${name}`, name, value]),
      ...Object.entries(of.config.labels).map(([name, value]) => [`label ${name}`, name, value]),
      ...["entrypoint", "command", "user", "working_dir", "ports"].map((name) => [name, name.replace("_", " "), JSON.stringify(of.config[name])]),
    ]],
  ];

  function changes(read, old, now) {
    const [before, after] = [grouped(read(old)), grouped(read(now))];
    const found = [];
    for (const key of new Set([...before.keys(), ...after.keys()])) {
      const [was, is] = [before.get(key), after.get(key)];
      if (was && is && was.version === is.version) continue;
      found.push({ kind: was ? (is ? "changed" : "removed") : "added", name: (is || was).name, old: was ? was.version : "–", now: is ? is.version : "–" });
    }
    const kinds = ["changed", "added", "removed"];
    return found.sort((a, b) => kinds.indexOf(a.kind) - kinds.indexOf(b.kind) || collator.compare(a.name, b.name));
  }

  function table(title, heads, rows) {
    const caption = make("caption", title);
    caption.className = "hide";
    const made = make("table", caption, make("thead", make("tr", ...heads.map((head) => {
      const cell = make("th", head);
      cell.scope = "col";
      return cell;
    }))), make("tbody", ...rows.map((row) => {
      const first = make("th", row.name);
      first.scope = "row";
      const line = make("tr", first, make("td", row.old), make("td", row.now));
      line.className = row.kind;
      return line;
    })));
    made.className = "diff";
    const scroll = make("div", made);
    scroll.className = "scroll flat";
    scroll.tabIndex = 0;
    scroll.setAttribute("role", "group");
    scroll.setAttribute("aria-label", title);
    return make("section", make("h2", `${title}: ${rows.length}`), scroll);
  }

  function link(name) {
    const [image, number] = known.get(name);
    const made = make("a", name);
    made.className = "id";
    made.href = `images/${images[image][1].split("/").map(encodeURIComponent).join("/")}-r${number}.html`;
    return made;
  }

  function draw(names, [old, now]) {
    const had = new Set(old.layers.map((layer) => layer.digest));
    const pulled = new Map(now.layers.filter((layer) => !had.has(layer.digest)).map((layer) => [layer.digest, layer.size]));
    const whole = new Map(now.layers.map((layer) => [layer.digest, layer.size]));
    const sum = (sizes) => [...sizes.values()].reduce((total, bytes) => total + bytes, 0);
    const lead = make("p", "From ", link(names[0]), " to ", link(names[1]), `: who has the first pulls ${size(sum(pulled))} of ${size(sum(whole))} for the second.`);
    lead.className = "lead";
    const sections = parts.map(([title, read]) => [title, changes(read, old, now)]).filter(([, rows]) => rows.length)
      .map(([title, rows]) => table(title, ["What", names[0], names[1]], rows));
    result.replaceChildren(lead, ...sections);
    if (!sections.length) result.append(make("p", pulled.size ? "No package and no setting differs, but files do." : "They have the same packages and settings."));
    said.textContent = `Compared: ${sections.length ? sections.map((item) => item.querySelector("h2").textContent).join(", ") : "no difference"}`;
  }

  let turn = 0;
  async function compare() {
    turn += 1;
    const mine = turn;
    const names = [form.elements.old.value.trim(), form.elements.new.value.trim()];
    document.title = names.every(Boolean) ? `${names[0]} and ${names[1]} – compared` : "Compare two revisions";
    result.replaceChildren();
    said.textContent = "";
    if (!names.every(Boolean)) {
      said.textContent = "Choose two revisions.";
      return;
    }
    const chosen = names.map(meant);
    const missing = chosen.filter((name) => !known.has(name));
    if (missing.length) {
      said.textContent = `There is no revision ${missing.join(" and ")}.`;
      return;
    }
    const found = chosen.map((name) => known.get(name));
    const unknown = chosen.filter((_, number) => !found[number][7]);
    if (unknown.length) {
      said.textContent = `Unknown: there is no inventory of ${unknown.join(" and ")}.`;
      return;
    }
    try {
      const contents = await Promise.all(found.map((item) => load(item[7] === 1 ? item[2] : item[7])));
      if (mine === turn) draw(chosen, contents);
    } catch (error) {
      if (mine === turn) said.textContent = error.message;
    }
  }

  let own = null;
  function remember() {
    const now = new URLSearchParams({ old: form.elements.old.value.trim(), new: form.elements.new.value.trim() }).toString();
    own = now;
    if (now !== location.hash.slice(1)) location.hash = now;
    compare();
  }

  function restore() {
    // Word of what was chosen here may come when somebody is typing the other one already.
    if (location.hash.slice(1) === own) return;
    own = null;
    const found = new URLSearchParams(location.hash.slice(1));
    form.elements.old.value = found.get("old") || "";
    form.elements.new.value = found.get("new") || "";
    compare();
  }

  document.getElementById("revisions").append(...[...known.keys()].map((name) => {
    const option = make("option");
    option.value = name;
    return option;
  }));
  form.hidden = false;
  form.addEventListener("submit", (event) => { event.preventDefault(); remember(); });
  form.addEventListener("change", remember);
  document.getElementById("swap").addEventListener("click", () => {
    [form.elements.old.value, form.elements.new.value] = [form.elements.new.value, form.elements.old.value];
    remember();
  });
  window.addEventListener("hashchange", restore);
  restore();
})();
