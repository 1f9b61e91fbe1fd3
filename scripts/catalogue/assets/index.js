"use strict";
// Search, filters and order of the index. All of it is in the address (#q=torch&sort=size), so it can be linked to.
(() => {
  const table = document.getElementById("images");
  if (!table) return;
  const form = document.getElementById("filters");
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const heads = [...table.tHead.rows[0].cells].filter((head) => head.dataset.sort);
  const MOST = 30;
  const collator = new Intl.Collator("en", { numeric: true });
  const texts = new Map(rows.map((row) => [row, searchable(row)]));
  let sort = "";
  let down = false;
  let loading = null;

  function searchable(row) {
    const data = row.dataset;
    const words = [row.cells[0].querySelector(".id").textContent, data.family, data.state, data.platform, data.more];
    for (const [key, name] of [["python", "python"], ["cuda", "cuda"], ["torch", "torch pytorch"], ["tensorflow", "tensorflow"]]) {
      if (data[key]) words.push(name, data[key]);
    }
    return words.join(" ").toLowerCase();
  }

  const wanted = () => form.elements.q.value.toLowerCase().split(/\s+/).filter(Boolean);
  const filters = () => [...form.elements].filter((item) => item.name && item.name !== "q" && item.value);

  function lower(first, second) {
    const [a, b] = [first, second].map((text) => text.split(".").map((part) => Number.parseInt(part, 10) || 0));
    for (let place = 0; place < Math.max(a.length, b.length); place += 1) {
      if ((a[place] || 0) !== (b[place] || 0)) return (a[place] || 0) < (b[place] || 0);
    }
    return false;
  }

  function fits(row, words) {
    if (!words.every((word) => texts.get(row).includes(word))) return false;
    return filters().every(({ name, value }) => {
      const has = row.dataset[name];
      if (name === "size") return Number(has) > 0 && Number(has) <= Number(value);
      if (name === "driver") return !has || !lower(value.trim(), has);
      if (name === "platform") return has.split(" ").includes(value);
      return has === (value === "-" ? "" : value);
    });
  }

  function order() {
    if (!sort) return rows;
    const key = (row) => (sort === "name" ? row.cells[0].querySelector(".id").textContent : row.dataset[sort]);
    return [...rows].sort((first, second) => {
      const [a, b] = [key(first), key(second)];
      // What has none comes last, whichever way it goes.
      if (!a || !b) return a ? -1 : b ? 1 : 0;
      return (down ? -1 : 1) * collator.compare(a, b);
    });
  }

  function show() {
    const words = wanted();
    let count = 0;
    for (const row of rows) {
      row.hidden = !fits(row, words);
      if (!row.hidden) count += 1;
    }
    const now = [...body.rows];
    const then = order();
    if (now.some((row, number) => row !== then[number])) body.append(...then);
    for (const head of heads) {
      if (head.dataset.sort === sort) head.setAttribute("aria-sort", down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
    const all = words.length || filters().length;
    document.getElementById("count").textContent = all ? `${count} of ${rows.length} images` : `${rows.length} images`;
    document.getElementById("none").hidden = count > 0;
    document.querySelector("#none span").textContent = "No image fits.";
    table.closest(".scroll").hidden = count === 0;
    find(words);
  }

  // What is looked through beyond the images is large, and comes when somebody searches.
  function load() {
    loading = loading || new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = "data/search.js";
      script.onload = () => resolve(window.catalogue);
      script.onerror = reject;
      document.head.append(script);
    });
    return loading;
  }

  const cell = (tag, ...content) => {
    const made = document.createElement(tag);
    made.append(...content);
    return made;
  };
  const link = (href, text) => {
    const made = cell("a", text);
    made.href = href;
    made.className = "id";
    return made;
  };
  const path = (text) => text.split("/").map(encodeURIComponent).join("/");

  function fill(id, found, row) {
    const place = document.getElementById(id);
    place.hidden = !found.length;
    place.querySelector("tbody").replaceChildren(...found.slice(0, MOST).map(row));
    place.querySelector(".more").textContent = found.length > MOST ? `And ${found.length - MOST} more: say more of what you look for.` : "";
  }

  async function find(words) {
    const place = document.getElementById("found");
    if (!words.length || words.join("").length < 2) {
      place.hidden = true;
      return;
    }
    const data = await load();
    if (wanted().join(" ") !== words.join(" ")) return;
    const revisions = data.revisions.filter(([image, number, digest, day, , , why]) => {
      const text = `${data.images[image][0]}-r${number} ${digest} ${day} ${why}`.toLowerCase();
      return words.every((word) => text.includes(word));
    }).sort((a, b) => (a[3] < b[3] ? 1 : a[3] > b[3] ? -1 : 0));
    const packages = [];
    for (const [name, versions] of Object.entries(data.packages)) {
      if (!words.some((word) => name.toLowerCase().includes(word))) continue;
      for (const [version, images] of Object.entries(versions)) {
        const text = `${name} ${version}`.toLowerCase();
        if (words.every((word) => text.includes(word))) packages.push([name, version, images]);
      }
    }
    packages.sort((a, b) => a[0].length - b[0].length || collator.compare(a[0], b[0]) || collator.compare(b[1], a[1]));
    place.hidden = !revisions.length && !packages.length;
    if (!place.hidden) document.querySelector("#none span").textContent = "No image is called so. What else fits is below.";
    fill("found-packages", packages, ([name, version, images]) => {
      const links = images.slice(0, 8).flatMap((image, number) => {
        const [id, page] = data.images[image];
        return number ? [", ", link(`images/${path(page)}.html`, id)] : [link(`images/${path(page)}.html`, id)];
      });
      if (images.length > 8) links.push(` and ${images.length - 8} more`);
      return cell("tr", cell("th", name), cell("td", version), cell("td", ...links));
    });
    fill("found-revisions", revisions, ([image, number, digest, day, , stand, why]) => {
      const [id, page] = data.images[image];
      const name = link(`images/${path(page)}-r${number}.html`, `${id}-r${number}`);
      const bad = stand === "yanked" || stand === "gone";
      const first = cell("th", bad ? cell("s", name) : name, bad ? ` ${stand}` : "");
      return cell("tr", first, cell("td", cell("time", day)), cell("td", why), cell("td", cell("code", digest.slice(0, 19))));
    });
  }

  function state() {
    const found = new URLSearchParams();
    for (const item of form.elements) if (item.name && item.value) found.set(item.name, item.value);
    if (sort) found.set("sort", down ? `-${sort}` : sort);
    return found.toString();
  }

  // A word that is being typed is one step back, not one for each letter.
  let typing = false;
  function remember(step) {
    const now = state();
    if (now === location.hash.slice(1)) return;
    if (step) location.hash = now;
    else location.replace(`#${now}`);
  }

  function restore() {
    const found = new URLSearchParams(location.hash.slice(1));
    if (state() === found.toString()) return;
    for (const item of form.elements) {
      if (!item.name) continue;
      item.value = found.get(item.name) || "";
      // A choice that is not there: of an old link.
      if (item.tagName === "SELECT" && item.selectedIndex < 0) item.value = "";
    }
    const by = found.get("sort") || "";
    const name = by.replace(/^-/, "");
    sort = heads.some((head) => head.dataset.sort === name) ? name : "";
    down = by.startsWith("-");
    show();
  }

  for (const head of heads) {
    const button = cell("button", ...head.childNodes);
    button.type = "button";
    button.addEventListener("click", () => {
      const first = ["size", "updated"].includes(head.dataset.sort);
      if (sort !== head.dataset.sort) { sort = head.dataset.sort; down = first; }
      else if (down === first) down = !first;
      else { sort = ""; down = false; }
      show();
      remember(true);
    });
    head.append(button);
  }
  form.hidden = false;
  const toggle = form.querySelector(".toggle");
  toggle.addEventListener("click", () => {
    toggle.setAttribute("aria-expanded", String(form.classList.toggle("open")));
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", (event) => {
    show();
    if (event.target.tagName === "SELECT") remember(true);
    else { remember(!typing); typing = true; }
  });
  form.addEventListener("change", () => { typing = false; });
  form.addEventListener("reset", () => setTimeout(() => { sort = ""; down = false; show(); remember(true); form.elements.q.focus(); }));
  document.querySelector("#none .clear").addEventListener("click", () => form.reset());
  form.elements.q.addEventListener("focus", () => load().catch(() => {}), { once: true });
  window.addEventListener("hashchange", restore);
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.target.closest("input, select, textarea")) {
      event.preventDefault();
      form.elements.q.focus();
    }
  });
  restore();
})();
