/** One small script per shell. An empty answer falls back to files. */

const BASH = `_gantry() {
  local IFS=$'\\n' words=("\${COMP_WORDS[@]:1:COMP_CWORD}")
  COMPREPLY=($(compgen -W "$(gantry __complete "\${words[@]}" 2>/dev/null)" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _gantry gantry
`;

const ZSH = `#compdef gantry
_gantry() {
  local -a found
  found=("\${(@f)$(gantry __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "\${found[*]}" ]]; then compadd -- "\${found[@]}"; else _files; fi
}
compdef _gantry gantry
`;

const FISH = `complete -c gantry -a '(set -l words (commandline -opc) (commandline -ct); gantry __complete $words[2..-1] 2>/dev/null)'
`;

export const SCRIPTS: Readonly<Record<string, string>> = { bash: BASH, zsh: ZSH, fish: FISH };
