/** What becomes of a file of a backup. `keep`: it is there already. `zeros`: only its length is wanted. */
export type Fate = 'take' | 'keep' | 'zeros'

export type FateOf = (name: string) => Fate

export const TAKE_ALL: FateOf = () => 'take'
