/** What a table or sequence is known by, wherever it is named. */

/** One key per table, the same for a catalog's and an inventory's. */
export function tableKey(table: { readonly schema: string; readonly name: string }): string {
  return JSON.stringify([table.schema, table.name])
}
