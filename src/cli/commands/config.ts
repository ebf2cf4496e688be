/** coffre config schema|check */
import { checkConfig, configJsonSchema } from '../../config.ts'
import { readConfigFile, type Session } from '../session.ts'

export function configSchemaCommand(session: Session): void {
  const schema = configJsonSchema()
  session.print(schema, JSON.stringify(schema, null, 2))
}

const badConfiguration = 2

export async function configCheckCommand(session: Session): Promise<void> {
  const file = await session.configFile()
  const { text, readableByOthers } = await readConfigFile(file, session.host.uid)
  const check = checkConfig(text, { file, environment: session.host.environment, readableByOthers })
  const problems = check.ok ? [] : check.problems
  const lines = problems.map(
    ({ line, path, message, hint }) => `${file}:${line}: ${path}: ${message}; ${hint}`,
  )
  session.print({ ok: check.ok, file, problems }, check.ok ? `${file} is in order` : lines.join('\n'))
  if (!check.ok) session.host.setExitStatus(badConfiguration)
}
