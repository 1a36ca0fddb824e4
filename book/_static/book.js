// What the theme leaves open for readers who use the keyboard or a screen reader. The accessible
// name of a button must begin with the words that it shows, and an icon's title counts as words.
function nameButtons() {
  for (const icon of document.querySelectorAll(".theme-switch")) {
    icon.removeAttribute("title"); // before the icon is replaced by a picture
    icon.querySelector("title")?.remove(); // after
    icon.setAttribute("aria-hidden", "true");
  }
  for (const button of document.querySelectorAll(".search-button-field")) {
    button.setAttribute("aria-label", button.innerText.replace(/\s+/g, " ").trim());
  }
  for (const fold of document.querySelectorAll("details.hide > summary")) {
    fold.removeAttribute("aria-label"); // it shows its name
  }
  for (const fold of document.querySelectorAll(".bd-sidebar-primary summary")) {
    fold.setAttribute("aria-label", "pages of this section");
  }
  for (const list of document.querySelectorAll(".citation-list")) {
    list.removeAttribute("role"); // its entries have a role of their own, which a list must not contain
  }
}

// A formula that is wider than its column is set smaller, down to seven tenths, before it has to scroll.
function fitFormulas() {
  for (const formula of document.querySelectorAll("mjx-container[display=true]")) {
    formula.dataset.size ??= parseFloat(formula.style.fontSize) || 100; // MathJax matches the text
    let size = formula.dataset.size;
    formula.style.fontSize = `${size}%`;
    for (let tries = 0; tries < 3 && formula.scrollWidth > formula.clientWidth; tries++) {
      size *= (0.98 * formula.clientWidth) / formula.scrollWidth;
      formula.style.fontSize = `${Math.max(size, 0.7 * formula.dataset.size)}%`;
    }
  }
}

// Colab opens notebooks only.
function removeDeadButtons() {
  for (const link of document.querySelectorAll('a[href*="colab.research.google.com"][href$=".md"]')) {
    (link.closest("li") ?? link).remove();
  }
}

document.addEventListener("DOMContentLoaded", nameButtons);
document.addEventListener("DOMContentLoaded", removeDeadButtons);
window.addEventListener("load", async () => {
  nameButtons();
  await window.MathJax?.startup?.promise;
  nameButtons();
  fitFormulas();
  window.addEventListener("resize", fitFormulas);
  // A formula or a listing that is wider than the page scrolls: give it the focus, to scroll by keys.
  for (const wide of document.querySelectorAll("mjx-container[display=true], pre, .math")) {
    if (wide.scrollWidth > wide.clientWidth) wide.tabIndex = 0;
  }
});
