// Sets the chosen theme before the page is drawn.
try {
  const theme = localStorage.getItem("clipstack-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Without storage the page has the system's theme.
}
