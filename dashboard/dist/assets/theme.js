// Applies the chosen theme before the first paint.
try {
  const theme = localStorage.getItem("loadgen-theme");
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
} catch {
  // storage is forbidden: the system's theme it is
}
