// Before anything is painted: the theme that was chosen, where one was. Without one the system's counts.
"use strict";
(() => {
  let chosen = null;
  try {
    chosen = localStorage.getItem("sendwright-theme");
  } catch {
    // storage may be forbidden: then the system's theme it is
  }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
