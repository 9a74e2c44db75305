/**
 * Of the kernel itself: a file's times and bytes are never those of a while ago, and what was just written is in this machine's memory. ext, XFS, Btrfs,
 * F2FS, ZFS, tmpfs, overlay.
 */
export const LOCAL_FILE_SYSTEMS: ReadonlySet<number> = new Set([
  0xef53, 0x58465342, 0x9123683e, 0xf2f52010, 0x2fc12fc1, 0x01021994, 0x794c7630,
])
