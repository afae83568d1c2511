/**
 * The version of the package.
 * @module
 */
import config from "../../deno.json" with { type: "json" };

/** Version of the package. */
export const VERSION: string = config.version;
