// What the theme leaves open for readers who use the keyboard or a screen reader.
window.addEventListener("load", async () => {
  // The accessible name of a button must begin with the words that it shows.
  for (const button of document.querySelectorAll(".search-button-field")) {
    button.setAttribute("aria-label", button.innerText.replace(/\s+/g, " ").trim());
  }
  for (const icon of document.querySelectorAll(".theme-switch")) {
    icon.removeAttribute("title");
    icon.setAttribute("aria-hidden", "true");
  }
  for (const fold of document.querySelectorAll(".bd-sidebar-primary summary")) {
    fold.setAttribute("aria-label", "pages of this section");
  }
  await window.MathJax?.startup?.promise;
  // A formula or a listing that is wider than the page scrolls: give it the focus, to scroll by keys.
  for (const wide of document.querySelectorAll("mjx-container[display=true], pre, .math")) {
    if (wide.scrollWidth > wide.clientWidth) wide.tabIndex = 0;
  }
});
