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

document.addEventListener("DOMContentLoaded", nameButtons);
window.addEventListener("load", async () => {
  nameButtons();
  await window.MathJax?.startup?.promise;
  nameButtons();
  // A formula or a listing that is wider than the page scrolls: give it the focus, to scroll by keys.
  for (const wide of document.querySelectorAll("mjx-container[display=true], pre, .math")) {
    if (wide.scrollWidth > wide.clientWidth) wide.tabIndex = 0;
  }
});
