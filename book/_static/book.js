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
  for (const link of document.querySelectorAll(".btn-source-issues-button")) {
    link.title = "Report a mistake on this page";
    link.querySelector(".btn__text-container").textContent = "Report a mistake";
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

// The audit: each row opens and closes, the heads of the columns sort, menus choose what is shown.
// Without this everything is open, in the order of the verdicts.
function setUpAudit(table) {
  const claims = [...table.tBodies];
  const values = (key) => [...new Set(claims.map((claim) => claim.dataset[key]))];
  const natural = (a, b) => a.localeCompare(b, undefined, { numeric: true });
  const make = (name, text = "") => Object.assign(document.createElement(name), { textContent: text });

  const open = (claim, yes) => {
    claim.rows[1].hidden = !yes;
    claim.querySelector("button").setAttribute("aria-expanded", yes);
  };
  for (const claim of claims) {
    const head = claim.querySelector("th");
    const button = make("button", head.textContent.trim());
    button.type = "button";
    claim.rows[1].id = `${claim.id}-evidence`;
    button.setAttribute("aria-controls", claim.rows[1].id);
    button.addEventListener("click", () => open(claim, claim.rows[1].hidden));
    head.replaceChildren(button);
    open(claim, false);
  }

  const bar = make("div");
  bar.className = "hessrmt-filters";
  const menus = ["verdict", "paper", "section"].map((key) => {
    const label = make("label", `${key} `);
    const menu = label.appendChild(make("select"));
    menu.dataset.key = key;
    menu.append(new Option("all", ""));
    const choices = key === "section" ? values(key).sort(natural) : values(key);
    menu.append(...choices.map((value) => new Option(value, value)));
    menu.addEventListener("change", filter);
    bar.append(label);
    return menu;
  });
  const every = bar.appendChild(make("button", "open all"));
  every.type = "button";
  every.addEventListener("click", () => {
    const yes = every.textContent === "open all";
    claims.forEach((claim) => open(claim, yes));
    every.textContent = yes ? "close all" : "open all";
  });
  const count = bar.appendChild(make("span"));
  count.setAttribute("role", "status");
  function filter() {
    for (const claim of claims) {
      claim.hidden = menus.some((menu) => menu.value && claim.dataset[menu.dataset.key] !== menu.value);
    }
    count.textContent = `${claims.filter((claim) => !claim.hidden).length} of ${claims.length} rows`;
  }
  table.before(bar);
  filter();

  // Ties stay in the order of the papers.
  const order = (a, b) => a.dataset.order - b.dataset.order;
  const orders = {
    claim: order,
    verdict: (a, b) => a.dataset.rank - b.dataset.rank || order(a, b),
    paper: (a, b) => natural(a.dataset.paper, b.dataset.paper) || order(a, b),
    section: (a, b) => natural(a.dataset.section, b.dataset.section) || order(a, b),
  };
  const heads = [...table.tHead.rows[0].cells];
  for (const head of heads) {
    const compare = orders[head.textContent.trim()];
    const button = make("button", head.textContent.trim());
    button.type = "button";
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      table.append(...claims.sort((a, b) => (down ? compare(b, a) : compare(a, b))));
    });
    head.replaceChildren(button);
  }
  heads[1].setAttribute("aria-sort", "ascending"); // as it comes

  // A link to a claim, of a tile for instance, opens it, whatever the menus hide.
  function follow() {
    const claim = claims.find((each) => each.id === decodeURIComponent(location.hash.slice(1)));
    if (!claim) return;
    menus.forEach((menu) => (menu.value = ""));
    filter();
    open(claim, true);
    claim.scrollIntoView();
    claim.querySelector("button").focus({ preventScroll: true });
  }
  window.addEventListener("hashchange", follow);
  follow();
}

document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll("table.hessrmt-audit").forEach(setUpAudit);
});
document.addEventListener("DOMContentLoaded", nameButtons);
document.addEventListener("DOMContentLoaded", removeDeadButtons);
window.addEventListener("load", async () => {
  nameButtons();
  await window.MathJax?.startup?.promise;
  nameButtons();
  fitFormulas();
  window.addEventListener("resize", fitFormulas);
  // A formula, a listing or a table that is wider than the page scrolls: give it the focus, to scroll by keys.
  for (const wide of document.querySelectorAll("mjx-container[display=true], pre, .math, .hessrmt-table")) {
    if (wide.scrollWidth > wide.clientWidth) wide.tabIndex = 0;
  }
});
