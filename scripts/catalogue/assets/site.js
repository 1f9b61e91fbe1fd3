"use strict";
// What all pages have: the theme, and buttons that copy. Runs before the page is drawn, so that it does not flash.
(() => {
  const root = document.documentElement;
  const themes = ["auto", "light", "dark"];
  const stored = () => {
    try { return localStorage.getItem("theme"); } catch { return null; }
  };
  const store = (theme) => {
    try { localStorage.setItem("theme", theme); } catch { /* not kept, but used */ }
  };
  const use = (theme) => {
    if (theme === "auto") delete root.dataset.theme; else root.dataset.theme = theme;
  };
  let theme = themes.includes(stored()) ? stored() : "auto";
  use(theme);
  root.classList.add("js-on");

  const copied = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // Older browsers, and pages that were opened as files in some.
      const field = document.createElement("textarea");
      field.value = text;
      field.className = "hide";
      document.body.append(field);
      field.select();
      const done = document.execCommand("copy");
      field.remove();
      return done;
    }
  };

  document.addEventListener("DOMContentLoaded", () => {
    for (const item of document.querySelectorAll("button.copy, .js[hidden], button.theme")) item.hidden = false;
    const live = document.querySelector(".live");
    const button = document.querySelector("button.theme");
    const name = () => { button.querySelector("span").textContent = theme; };
    name();
    button.addEventListener("click", () => {
      theme = themes[(themes.indexOf(theme) + 1) % themes.length];
      use(theme);
      store(theme);
      name();
    });
    document.addEventListener("click", async (event) => {
      const pressed = event.target.closest("button.copy");
      if (!pressed) return;
      const done = await copied(pressed.dataset.copy);
      pressed.focus();
      live.textContent = done ? `Copied: ${pressed.dataset.copy}` : "The browser does not let this page copy.";
      pressed.classList.toggle("done", done);
      pressed.dataset.said = done ? "Copied" : "Not copied";
      setTimeout(() => { pressed.classList.remove("done"); delete pressed.dataset.said; }, 1500);
    });
  });
})();
