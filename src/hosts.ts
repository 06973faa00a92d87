/**
 * Names by which a browser may reach the operators' routes.
 *
 * A page of a stranger can have its own name lead to this machine once it is loaded (DNS rebinding);
 * to the browser our answers are then its own. So a name must be one that no stranger can own.
 */

/** Of these, nobody can have one in the public DNS: RFC 6761, 6762, 8375, 9476, and ICANN for `internal`. */
const PRIVATE_DOMAINS = ["localhost", "local", "internal", "test", "home.arpa", "alt", "svc"];
const ADDRESS = /^(\d{1,3}(\.\d{1,3}){3}|\[[0-9a-f:.]+\])$/;

/** Every name is taken. */
export const ANY_HOST = "any";

/**
 * Makes the check of a Host header.
 *
 * @param names those that are taken besides addresses and private names, with commas between; or `any`
 */
export function createHostCheck(names: string): (host: string) => boolean {
  const known = new Set(names.toLowerCase().split(","));
  if (known.has(ANY_HOST)) return () => true;
  return (host) => {
    const name = host.toLowerCase().replace(/:\d+$/, "").replace(/\.$/, "");
    return known.has(name) || ADDRESS.test(name) || !name.includes(".") ||
      PRIVATE_DOMAINS.some((domain) => name.endsWith(`.${domain}`));
  };
}
