"""The environment backend "gymnasium": single environments, in this process or in worker processes."""
