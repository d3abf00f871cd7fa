// The theme somebody chose, set before the page is drawn.
try {
  const chosen = localStorage.getItem("clipstack-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // A browser that keeps nothing shows the system's theme.
}
