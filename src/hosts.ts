/**
 * Names by which a browser may reach the operators' routes.
 *
 * A page of a stranger can have its own name lead to this machine once it is loaded (DNS rebinding);
 * to the browser our answers are then its own. So a name must be one that no stranger can own.
 */

/**
 * Of these, nobody can have one in the public DNS: RFC 6761, 6762, 8375 and 9476, and ICANN's word
 * for `internal`; `svc`, as clusters have it, is at least nobody's.
 */
const PRIVATE_DOMAINS = ["localhost", "local", "internal", "test", "home.arpa", "alt", "svc"];
const ADDRESS = /^(\d{1,3}(\.\d{1,3}){3}|\[[0-9a-f:.]+\])$/;

/** Every name is taken. */
export const ANY_HOST = "any";

/**
 * Makes the check of a Host header.
 *
 * @param names those that are taken besides addresses and private names; or `any`
 */
export function createHostCheck(names: readonly string[]): (host: string) => boolean {
  const known = new Set(names.map(nameOf));
  if (known.has(ANY_HOST)) return () => true;
  return (host) => {
    const name = nameOf(host);
    return known.has(name) || ADDRESS.test(name) || !name.includes(".") ||
      PRIVATE_DOMAINS.some((domain) => name.endsWith(`.${domain}`));
  };
}

/** Without port, closing dot and capitals. */
export function nameOf(host: string): string {
  return host.toLowerCase().replace(/:\d+$/, "").replace(/\.$/, "");
}
