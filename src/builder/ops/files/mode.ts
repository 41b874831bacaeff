/** `--chmod` on a file that has `mode`. The text was checked before. */
export function changeMode(mode: number, text: string, _isFolder: boolean): number {
  return /^[0-7]{1,4}$/.test(text) ? Number.parseInt(text, 8) : mode;
}
