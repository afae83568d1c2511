/**
 * `completions SHELL`: shell completion of commands, options and values,
 * generated from the option tables.
 * @module
 */
import { type Command, command, COMMON, type Option } from "./command.ts";
import { EXIT, UsageError } from "./errors.ts";
import { nearest } from "./suggest.ts";

const SHELLS = { bash, zsh, fish } as const;

/**
 * The command `completions`.
 * @param all loads every command
 */
export const completions = (all: () => Promise<Command[]>): Command =>
  command({
    name: "completions",
    summary: "print shell completions for bash, zsh or fish",
    operands: "SHELL",
    arity: [1, 1],
    options: {},
    notes: `For the current shell:
  bash:  eval "$(mquant completions bash)"
  zsh:   eval "$(mquant completions zsh)"
  fish:  mquant completions fish | source
To keep them, add the line to ~/.bashrc, ~/.zshrc or ~/.config/fish/config.fish.`,
    permissions: "none",
    async run([shell], _, io) {
      if (!Object.hasOwn(SHELLS, shell)) {
        const near = nearest(shell, Object.keys(SHELLS));
        throw new UsageError(
          `Cannot print completions for ${
            JSON.stringify(shell)
          }: known shells are ${Object.keys(SHELLS).join(", ")}; ${
            near ? `did you mean ${near}?` : "use one of them"
          }`,
        );
      }
      io.out(SHELLS[shell as keyof typeof SHELLS](await all()));
      return EXIT.ok;
    },
  });

/** Options of a command by name, including the common ones. */
function optionsOf(c: Command): [string, Option][] {
  return Object.entries({ ...c.options, ...COMMON });
}

/** The possible values, if they are a fixed list. */
function choices(o: Option): readonly string[] {
  return o.choices ?? [];
}

/** Completion for bash: the words of the command, else file names. */
function bash(commands: readonly Command[]): string {
  const names = commands.map((c) => c.name).join(" ");
  const cases = commands.map((c) => {
    const words = optionsOf(c).map(([name]) => `--${name}`).join(" ");
    return `    ${c.name}) words="${words}" ;;`;
  });
  const values = commands.flatMap((c) =>
    optionsOf(c).filter(([, o]) => choices(o).length > 0).map(([name, o]) =>
      `    ${c.name}:--${name}) COMPREPLY=($(compgen -W "${
        choices(o).join(" ")
      }" -- "$current")); return ;;`
    )
  );
  return `_mquant() {
  local current="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}"
  local command="\${COMP_WORDS[1]}" words=""
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${names} --help --version" -- "$current"))
    return
  fi
  case "$command:$before" in
${values.join("\n")}
    completions:completions) COMPREPLY=($(compgen -W "bash zsh fish" -- "$current")); return ;;
  esac
  case "$command" in
${cases.join("\n")}
  esac
  case "$current" in
    -*) COMPREPLY=($(compgen -W "$words" -- "$current")) ;;
  esac
}
complete -o default -F _mquant mquant
`;
}

/** Quotes text for a shell. */
const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

/** Completion for zsh: `_arguments` with the help of each option. */
function zsh(commands: readonly Command[]): string {
  const escaped = (text: string) => text.replaceAll(/[\\[\]:]/g, "\\$&");
  const cases = commands.map((c) => {
    const specs = optionsOf(c).map(([name, o]) => {
      const value = o.type === "boolean"
        ? ""
        : `:${o.value ?? "N"}:${
          choices(o).length > 0 ? `(${choices(o).join(" ")})` : "_files"
        }`;
      const equals = o.type === "boolean" ? "" : "=";
      return `        ${
        quoted(`--${name}${equals}[${escaped(o.help)}]${value}`)
      }`;
    });
    const operand = c.name === "completions"
      ? "'*:shell:(bash zsh fish)'"
      : "'*:file:_files'";
    return `      ${c.name}) _arguments \\
${specs.join(" \\\n")} \\
        ${operand} ;;`;
  });
  const named = commands.map((c) =>
    `    ${quoted(`${c.name}:${escaped(c.summary)}`)}`
  );
  return `#compdef mquant
_mquant() {
  local -a commands
  commands=(
${named.join("\n")}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
  else
    local command=$words[2]
    shift words
    (( CURRENT-- ))
    case $command in
${cases.join("\n")}
    esac
  fi
}
compdef _mquant mquant
`;
}

/** Completion for fish: one line per command and option. */
function fish(commands: readonly Command[]): string {
  const lines = commands.flatMap((c) => [
    `complete -c mquant -n __fish_use_subcommand -a ${c.name} -d ${
      quoted(c.summary)
    }`,
    ...optionsOf(c).map(([name, o]) => {
      const words = choices(o).length > 0
        ? ` -x -a ${quoted(choices(o).join(" "))}`
        : o.type === "boolean"
        ? ""
        : " -r";
      return `complete -c mquant -n '__fish_seen_subcommand_from ${c.name}' -l ${name}${words} -d ${
        quoted(o.help)
      }`;
    }),
  ]);
  return `complete -c mquant -n __fish_use_subcommand -f
complete -c mquant -n '__fish_seen_subcommand_from completions' -f -a 'bash zsh fish'
${lines.join("\n")}
`;
}
