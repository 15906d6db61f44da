"""The verbs of a vault, by what they are for; `modelvault.vault.Vault` has them all."""
