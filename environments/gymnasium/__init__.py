"""Steps single environments side by side, in this process or in others."""
