import { useEffect } from "preact/hooks";

/** Does something now, and again and again while the page is seen. */
export function usePoll(what: () => Promise<unknown>, every: number, of: unknown[]) {
  useEffect(() => {
    let timer = 0;
    let over = false;
    const run = async () => {
      if (!document.hidden) await what().catch(() => {}); // the connection's state is shown elsewhere
      if (!over) timer = window.setTimeout(() => void run(), every);
    };
    void run();
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, of);
}
