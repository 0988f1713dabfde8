import { defineConfig } from "vite";

// The build goes into dashboard/dist, which is committed and embedded. Paths are
// relative, so that the page also works under a prefix.
export default defineConfig({
  base: "./",
  esbuild: { jsx: "automatic", jsxImportSource: "preact", legalComments: "none" },
  build: {
    outDir: "../dist",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0, // the Content-Security-Policy allows files of this server alone
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 300,
    rollupOptions: { output: { entryFileNames: "assets/[name]-[hash].js", assetFileNames: "assets/[name]-[hash][extname]" } },
  },
  server: {
    // `npm run dev` works on the page while a server runs on its usual port.
    proxy: {
      "/api": "http://127.0.0.1:8999",
      "/socket.io": { target: "http://127.0.0.1:8999", ws: true },
    },
  },
});
