/**
 * Options of commands that ask a model hub.
 * @module
 */

/** Which hub, which revision, and who asks. */
export const HUB_OPTIONS = {
  revision: {
    type: "string",
    value: "NAME",
    help: "branch, tag or commit",
    default: "main",
  },
  hub: {
    type: "string",
    value: "URL",
    help: "address of another hub with the same API",
  },
  "token-file": {
    type: "string",
    value: "FILE",
    help: "file whose first line is an access token",
  },
} as const;

/** Their values. */
export interface HubValues {
  readonly revision: string;
  readonly hub: string | undefined;
  readonly "token-file": string | undefined;
}

/** Whether a text is OWNER/NAME. */
export const isRepository = (text: string): boolean =>
  /^[\w.-]+\/[\w.-]+$/.test(text) && !text.includes("..");
